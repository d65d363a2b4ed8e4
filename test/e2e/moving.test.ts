import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { NO_BYTES, utf8 } from "../../src/base/bytes.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { exportStore } from "../../src/domain/move/export-writer.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { openEtcdEngine } from "../../src/engine/etcd/etcd-engine.ts";
import { openMemoryEngine } from "../../src/engine/memory/memory-engine.ts";
import { type EtcdBinaries, etcdBinaries } from "../support/etcd-binaries.ts";
import { type EtcdNode, type V3Discovery, v3Discovery } from "../support/etcd-node.ts";
import { startEtcd } from "../support/etcd-server.ts";
import { MUSTER, runMuster } from "../support/move-muster.ts";
import { startProcess } from "../support/processes.ts";
import { registeredMembers } from "../support/registered.ts";
import { Scenario } from "../support/scenario.ts";
import { until } from "../support/until.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";
import { describeWithEtcdGo } from "../support/with-etcd-go.ts";

const FORMING_TIMEOUT_MS = 150_000;
const BOOTING_TIMEOUT_MS = 60_000;
const MANY_REVISIONS = 3_000;
const REMOTE_FLAGS = { whole: [], shared: ["--store-prefix", "/muster/"] } as const;

/** What the first and the second node write when they know of each other and wait for a third. */
const WAITS = {
  v2: [/waiting for more.*"needed-peers":1/, /waiting for more.*"needed-peers":1/],
  v3: [/found peer from discovery service.*second=/, /waiting for peers from discovery service.*"found-peers":2/],
} as const;

/** The stores on both sides: an empty place for a data directory, and an etcd on which others may be, too. */
class Places implements AsyncDisposable {
  readonly embedded: readonly string[];
  readonly remote: readonly string[];
  readonly file: string;
  readonly #dispose: () => Promise<void>;

  private constructor(directory: string, remote: readonly string[], dispose: () => Promise<void>) {
    this.embedded = ["--data-dir", join(directory, "data")];
    this.remote = remote;
    this.file = join(directory, "store.export");
    this.#dispose = dispose;
  }

  static async make(binaries: EtcdBinaries, flags: readonly string[]): Promise<Places> {
    const directory = await mkdtemp(join(tmpdir(), "muster-moving-"));
    const etcd = await startEtcd(binaries);
    return new Places(directory, ["--store", `etcd://${etcd.clientAddress}`, ...flags], async () => {
      await etcd.stop();
      await rm(directory, { recursive: true });
    });
  }

  /** The etcd as Muster sees it. */
  openRemote(): Promise<Engine> {
    const [, url = "", , prefix = ""] = this.remote;
    return openEtcdEngine({ endpoints: [new URL(url).host], prefix, clock: systemClock, log: silentLog });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#dispose();
  }
}

/** Starts so many nodes, one after the other, and waits until the last one waits for one more. */
async function startWaiting(scenario: Scenario, discovery: string | V3Discovery): Promise<readonly EtcdNode[]> {
  const first = await scenario.startNode({ name: "first", discovery });
  await first.waitForOutput(/waiting for (more|peers from discovery service)/, BOOTING_TIMEOUT_MS);
  const second = await scenario.startNode({ name: "second", discovery });
  const [one, other] = typeof discovery === "string" ? WAITS.v2 : WAITS.v3;
  await first.waitForOutput(one, BOOTING_TIMEOUT_MS);
  await second.waitForOutput(other, BOOTING_TIMEOUT_MS);
  return [first, second];
}

/** Two nodes wait, the store is moved, the third one comes. */
async function formOverMove(
  binaries: EtcdBinaries,
  options: {
    readonly protocol: "v2" | "v3";
    readonly from: "embedded" | "remote";
    readonly etcd: keyof typeof REMOTE_FLAGS;
  },
): Promise<void> {
  const storeEtcd = (await etcdBinaries()) ?? binaries;
  await using places = await Places.make(storeEtcd, REMOTE_FLAGS[options.etcd]);
  const [from, to] = options.from === "embedded" ? [places.embedded, places.remote] : [places.remote, places.embedded];
  // The same process is started again on the other store, at the same address.
  const store = [...from];
  await using scenario = await Scenario.start(binaries, { store });
  const { muster } = scenario;
  const tokenUrl = await muster.newToken(3);
  const discovery = options.protocol === "v2" ? tokenUrl : v3Discovery(tokenUrl);
  const waiting = await startWaiting(scenario, discovery);
  const before = await indexOf(tokenUrl);
  await muster.kill("SIGTERM");
  await runMuster("export", places.file, ...from);
  await runMuster("import", places.file, ...to);
  store.splice(0, store.length, ...to);
  await muster.restart();
  expect(await indexOf(tokenUrl)).toBeGreaterThan(before);
  const third = await scenario.startNode({ name: "third", discovery });
  const cluster = scenario.clusterOf([...waiting, third]);
  await cluster.whenHealthy(FORMING_TIMEOUT_MS);
  const started = cluster.nodes.map(({ name, peerUrl }) => `${name}=${peerUrl}`).sort();
  expect(await cluster.members()).toEqual(started);
  expect(await registeredMembers(tokenUrl)).toEqual(started);
  expect(cluster.nodes.map((node) => node.starts)).toEqual([1, 1, 1]);
  for (const node of cluster.nodes) expect(node.output()).not.toMatch(/duplicate/);
}

/** Exports a store of so many keys that it takes a while to import them, each put by a revision of its own. */
async function exportMany(file: string): Promise<void> {
  const engine = openMemoryEngine();
  for (let n = 0; n < MANY_REVISIONS; n++) {
    const request = { key: utf8(`/many/${n}`), value: utf8(String(n)) };
    await engine.txn({ compares: [], success: [{ kind: "put", request }], failure: [] });
  }
  await exportStore({ engine, file, now: Date.now() });
  await engine.close();
}

async function indexOf(url: string): Promise<number> {
  return Number((await fetch(url)).headers.get("x-etcd-index"));
}

const WAYS = [
  ["from a data directory to an etcd", { from: "embedded", etcd: "whole" }],
  ["from a data directory to a prefix of an etcd", { from: "embedded", etcd: "shared" }],
  ["from a prefix of an etcd to a data directory", { from: "remote", etcd: "shared" }],
] as const;

await describeWithEtcd("two nodes wait by v2, the store is moved, and all form when the third comes", (binaries) => {
  test.for(WAYS)("%s", async ([, way]) => formOverMove(binaries, { protocol: "v2", ...way }));
});

await describeWithEtcd("an import to an etcd that is killed half-way", (binaries) => {
  test("is served to nobody, and done again when that is asked for", async () => {
    await using places = await Places.make(binaries, REMOTE_FLAGS.shared);
    await exportMany(places.file);
    const engine = await places.openRemote();
    try {
      await using importing = await startProcess(process.execPath, [MUSTER, "import", places.file, ...places.remote]);
      const count = async () => (await engine.range({ key: NO_BYTES, end: null, countOnly: true })).count;
      const begun = async () => ((await count()) > 50 ? true : undefined);
      await until(begun, { timeoutMs: BOOTING_TIMEOUT_MS, what: "half an import" });
      importing.kill("SIGKILL");
      await importing.ended;
      expect(await count()).toBeLessThan(MANY_REVISIONS);
      for (const command of [
        ["serve", "--listen", "127.0.0.1:0", "--client-listen", "127.0.0.1:0"],
        ["export", `${places.file}.2`],
        ["import", places.file],
      ]) {
        await expect(runMuster(...command, ...places.remote)).rejects.toMatchObject({
          code: 1,
          stderr: expect.stringContaining("--again"),
        });
      }
      await runMuster("import", places.file, "--again", ...places.remote);
      // Each key, and the record of the offset.
      expect(await count()).toBe(MANY_REVISIONS + 1);
    } finally {
      await engine.close();
    }
  });
});

await describeWithEtcdGo(
  "3.7",
  "two nodes wait by v3, the store is moved, and all form when the third comes",
  (binaries) => {
    test.for(WAYS)("%s", async ([, way]) => formOverMove(binaries, { protocol: "v3", ...way }));
  },
);
