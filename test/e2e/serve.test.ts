import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type RunningProcess, startProcess } from "../support/processes.ts";
import { rawHttp } from "../support/raw-http.ts";
import { refuseHolds, WATCHDOG } from "../support/watchdog.ts";

const MUSTER = fileURLToPath(new URL("../../bin/muster", import.meta.url));
const ANY_PORTS = ["--listen", "127.0.0.1:0", "--client-listen", "127.0.0.1:0"];

let directory = "";
let started: RunningProcess[] = [];
beforeEach(async () => {
  started = [];
  directory = await mkdtemp(join(tmpdir(), "muster-serve-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
  for (const child of started) refuseHolds(child.output());
});

/** `bin/muster` in a directory of its own, started as a program: the file must be executable and find its Node. */
async function muster(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<RunningProcess> {
  const child = await startProcess(MUSTER, args, {
    cwd: directory,
    env: { ...env, NODE_OPTIONS: `--import=${WATCHDOG}` },
  });
  started.push(child);
  return child;
}

interface Ready {
  readonly publicUrl: string;
  readonly clientUrl: string;
}

async function ready(child: RunningProcess): Promise<Ready> {
  const [, publicUrl = "", clientUrl = ""] = await child.waitForOutput(
    /public listener .* (http:\S+)\n.*client listener .* (http:\S+)\n[\s\S]*Ctrl-C stops Muster/,
  );
  return { publicUrl, clientUrl };
}

/** Starts, ends by itself, and has said why in one line. */
async function refusal(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  await using child = await muster(args, env);
  const { code } = await child.ended;
  return { code, output: child.output() };
}

describe("muster serve: starting", () => {
  test("muster serve: port 0, and the ports that were chosen are printed", async () => {
    await using child = await muster(["serve", ...ANY_PORTS]);
    const { publicUrl, clientUrl } = await ready(child);
    expect(await (await fetch(`${publicUrl}/health`)).text()).toBe("OK");
    expect(await (await fetch(`${clientUrl}/health`)).json()).toEqual({ health: "true" });
    expect(await (await fetch(`${publicUrl}/new?size=3`)).text()).toMatch(new RegExp(`^${publicUrl}/[0-9a-f]{32}$`));
  });

  test("muster serve: the data directory is ./muster-data by default", async () => {
    await using child = await muster(["serve", ...ANY_PORTS]);
    await ready(child);
    expect(child.output()).toContain(`Its data is in ${join(directory, "muster-data")}`);
  });

  test("muster serve: several addresses of each listener", async () => {
    const addresses = ["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--client-listen", "127.0.0.1:0"];
    await using child = await muster(["serve", ...addresses]);
    await child.waitForOutput(/Ctrl-C/);
    const urls = [...child.output().matchAll(/public listener .* (http:\S+)\n/g)].map(([, url = ""]) => url);
    expect(new Set(urls).size).toBe(2);
    for (const url of urls) expect((await fetch(`${url}/health`)).status).toBe(200);
  });

  test("muster serve: a file, above it the environment, above it flags", async () => {
    const file = join(directory, "muster.yaml");
    await writeFile(file, "listen: 127.0.0.1:0\nclient-listen: wrong\npublic-url: https://file.example\n");
    const env = { MUSTER_CONFIG: file, MUSTER_CLIENT_LISTEN: "127.0.0.1:0", MUSTER_PUBLIC_URL: "https://env.example" };
    await using child = await muster(["serve", "--public-url", "https://flag.example/d/"], env);
    const { publicUrl } = await ready(child);
    expect(await (await fetch(`${publicUrl}/new?size=3`)).text()).toMatch(/^https:\/\/flag\.example\/d\/[0-9a-f]{32}$/);
  });

  test("muster serve: logs are JSON on stderr where that is no terminal, and hold no whole token", async () => {
    await using child = await muster(["serve", ...ANY_PORTS, "--log-level", "debug"]);
    const { publicUrl } = await ready(child);
    const url = await (await fetch(`${publicUrl}/new?size=3`)).text();
    await (await fetch(`${url}/_config/size`)).text();
    await child.stop();
    const token = url.slice(url.lastIndexOf("/") + 1);
    const lines = child
      .output()
      .split("\n")
      .filter((line) => line.startsWith("{"));
    expect(lines.map((line): unknown => JSON.parse(line))).toContainEqual(
      expect.objectContaining({
        level: "debug",
        msg: "request",
        path: `/${token.slice(0, 12)}…/_config/size`,
        status: 200,
      }),
    );
    expect(child.output()).not.toContain(token);
  });
});

describe("muster serve: errors", () => {
  test.each([
    [["serve", "--token-ttl", "7d"], {}, /^muster: Set --token-ttl to a duration .*: got "7d"\n$/],
    [["serve"], { MUSTER_LISTEN: "here" }, /^muster: Set MUSTER_LISTEN to an address .*: got "here"\n$/],
    [["serve"], { MUSTER_LISTN: "x" }, /^muster: Remove the environment variable MUSTER_LISTN: .*MUSTER_LISTEN\?\n$/],
    [
      ["serve", "--config", "absent.yaml"],
      {},
      /^muster: Name a readable YAML file with --config: "absent.yaml": .*\n$/,
    ],
    [["serve", "--nonsense"], {}, /^muster: unknown option '--nonsense'\n$/],
  ] as const)("muster serve: %j %j ends with code 2 and one line", async (args, env, message) => {
    const { code, output } = await refusal(args, env);
    expect(output).toMatch(message);
    expect(code).toBe(2);
  });

  test("muster serve: a port in use ends with code 1 and names it", async () => {
    const other = await occupiedPort();
    try {
      const { code, output } = await refusal([
        "serve",
        "--listen",
        `127.0.0.1:${other.port}`,
        "--client-listen",
        "127.0.0.1:0",
      ]);
      expect(output).toContain(`Stop what uses port ${other.port}, or choose another with --listen: `);
      expect(output).not.toMatch(/^ {4}at /m);
      expect(code).toBe(1);
    } finally {
      await other.close();
    }
  });

  test("muster serve: a second process on the same directory ends with code 1 and one line, the first serves on", async () => {
    await using first = await muster(["serve", ...ANY_PORTS]);
    const { publicUrl } = await ready(first);
    const { code, output } = await refusal(["serve", ...ANY_PORTS]);
    expect(output).toContain(join(directory, "muster-data"));
    expect(output.trim().split("\n")).toHaveLength(1);
    expect(code).toBe(1);
    expect((await fetch(`${publicUrl}/health`)).status).toBe(200);
  });
});

describe("muster serve: stopping", () => {
  test.each(["SIGTERM", "SIGINT"] as const)(
    "muster serve: %s ends it with code 0, a long poll that waits included",
    async (signal) => {
      await using child = await muster(["serve", ...ANY_PORTS]);
      const { clientUrl } = await ready(child);
      const wait = rawHttp(clientUrl, "GET /v2/keys/x?wait=true HTTP/1.1\r\nHost: localhost\r\n\r\n");
      // Its headers come when it waits.
      await wait.received(/^HTTP\/1\.1 200 [\s\S]*\r\n\r\n/);
      child.kill(signal);
      // Where it is held until its deadline it ends with 1.
      expect(await child.ended).toEqual({ code: 0, signal: null });
      await wait.closed;
    },
  );

  test("muster serve: a request that never ends does not hold it for ever", async () => {
    await using child = await muster(["serve", ...ANY_PORTS]);
    using _stuck = await stuckRequest(child);
    // It ends with 1 where it is held until its deadline, and never where it has none.
    child.kill("SIGTERM");
    expect(await child.ended).toEqual({ code: 0, signal: null });
  });

  test("muster serve: a second signal ends it at once", async () => {
    await using child = await muster(["serve", ...ANY_PORTS]);
    using _stuck = await stuckRequest(child);
    child.kill("SIGTERM");
    await child.waitForOutput(/stopping/);
    // The first signal's echo, as npm sends it, is not taken for a second one; this is well after it.
    await new Promise((resolve) => setTimeout(resolve, 300));
    child.kill("SIGTERM");
    // The first would have ended it with 0.
    expect(await child.ended).toEqual({ code: 143, signal: null });
  });
});

/** A PUT whose body never comes. */
async function stuckRequest(child: RunningProcess) {
  const { clientUrl } = await ready(child);
  const head = "PUT /v2/keys/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\nExpect: 100-continue\r\n";
  const stuck = rawHttp(clientUrl, `${head}Content-Type: application/x-www-form-urlencoded\r\n\r\n`);
  await stuck.received(/100 Continue/);
  return stuck;
}

async function occupiedPort() {
  const server: Server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server has no port");
  return { port: address.port, close: () => new Promise((resolve) => server.close(resolve)) };
}
