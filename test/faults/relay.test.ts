import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { rawHttp } from "../support/raw-http.ts";
import { LoopbackNetwork } from "./place.ts";
import { Relay } from "./relay.ts";

/** It starts a program. */
const TEST_MS = 60_000;
const ASK = "GET / HTTP/1.1\r\nHost: there\r\n\r\n";

test("a relay loses answers to what it carries on, until connections break; new ones are whole", {
  timeout: TEST_MS,
}, async () => {
  let count = 0;
  const server = createServer((_, answer) => {
    count += 1;
    answer.end(`number ${count}`, () => server.emit("answered"));
  }).listen(0, "127.0.0.1");
  try {
    await once(server, "listening");
    await using network = new LoopbackNetwork();
    await using relay = await Relay.start(await network.place("here"), [`127.0.0.1:${portOf(server.address())}`]);
    const url = `http://${relay.endpoints[0]}`;
    using first = rawHttp(url, ASK);
    await first.received(/number 1/);
    await relay.loseAnswers();
    const answered = once(server, "answered");
    first.send(ASK);
    await answered;
    // An order more, so that the answer has come as far as the relay.
    await relay.loseAnswers();
    await relay.breakConnections();
    expect(await first.closed).not.toContain("number 2");
    using second = rawHttp(url, ASK);
    await second.received(/number 3/);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === "string") throw new Error("a TCP server has no port");
  return address.port;
}
