import { expect, test } from "vitest";
import { NamespaceNetwork, openNetwork } from "./namespace-network.ts";

const TIMEOUT_MS = 1500;
/** It starts a dozen programs. */
const TEST_MS = 60_000;

const network = await openNetwork();
await network[Symbol.asyncDispose]();

test.skipIf(!network.canCut)(
  "a cut link takes nothing in one direction, without an error; healed, it does again",
  {
    timeout: TEST_MS,
  },
  async () => {
    await using net = await NamespaceNetwork.open();
    const [here, there] = [await net.place("here"), await net.place("there")];
    const [port = 0] = await there.ports(1);
    const serve = `require("node:http").createServer((_, answer) => answer.end("there")).listen(${port}, "${there.address}", () => console.log("up"))`;
    await using server = await there.start(process.execPath, ["-e", serve]);
    await server.waitForOutput(/up/);
    const ask = async (timeoutMs: number): Promise<string> => {
      const fetching = `fetch("http://${there.address}:${port}/", { signal: AbortSignal.timeout(${timeoutMs}) }).then((a) => a.text()).then(console.log, (e) => console.log(e.name))`;
      await using client = await here.start(process.execPath, ["-e", fetching]);
      await client.ended;
      return client.output().trim();
    };
    expect(await ask(20_000)).toBe("there");
    await net.cut(there, here);
    expect(await ask(TIMEOUT_MS)).toBe("TimeoutError");
    // The test itself is a third.
    const answer = await fetch(`http://${there.address}:${port}/`);
    expect(await answer.text()).toBe("there");
    await net.heal(there, here);
    expect(await ask(20_000)).toBe("there");
  },
);
