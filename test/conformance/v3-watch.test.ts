/** Watches, played on Muster and on real etcds: each response has the same shape. */
import { expect, test } from "vitest";
import type { EtcdBinaries } from "../support/etcd-binaries.ts";
import { startEtcd } from "../support/etcd-server.ts";
import { startMusterV3 } from "../support/muster-v3.ts";
import { type Shown, WatchStage, type WatchStream } from "../support/watch-stage.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";
import { describeWithEtcdGo } from "../support/with-etcd-go.ts";

const NOPUT = "NOPUT";
const NODELETE = "NODELETE";
/** A key range's end that means "no end". */
const NO_END = "\0";

/** What a scenario finds on a server: responses, or events where their batches are the server's own choice. */
type Found = readonly (Shown | unknown)[];

interface Scenario {
  readonly title: string;
  readonly play: (stage: WatchStage, stream: WatchStream) => Promise<Found>;
  /** Why an older etcd than 3.7 answers otherwise. */
  readonly newer?: string;
}

const put = (key: string, value: string) => ({
  request_put: { key: Buffer.from(key), value: Buffer.from(value) },
});

/** So that a scenario can be played twice on one server. */
let plays = 0;

const SCENARIOS: readonly Scenario[] = [
  {
    title: "watches get IDs, those they ask for or the next that is free; a duplicate is refused",
    play: async (_stage, stream) => {
      for (const watch_id of [0, 0, 3, 0, 0, 3, -5]) stream.create({ key: "a", watch_id });
      return [...(await stream.take(7))];
    },
  },
  {
    title: "puts and deletes are told, with what was there before where that was asked for",
    play: async (stage, stream) => {
      stream.create({ key: "a", prev_kv: true });
      stream.create({ key: "a" });
      const created = await stream.take(2);
      await stage.put("a", "1");
      await stage.put("a", "2");
      await stage.del("a");
      await stage.del("a");
      await stage.put("a", "3");
      return [created, await stream.fence(() => stage.put("~fence"))];
    },
  },
  {
    title: "filters leave out puts, deletes or both",
    play: async (stage, stream) => {
      stream.create({ key: "f", filters: [NOPUT] });
      stream.create({ key: "f", filters: [NODELETE] });
      stream.create({ key: "f", filters: [NOPUT, NODELETE] });
      const created = await stream.take(3);
      await stage.put("f", "1");
      await stage.del("f");
      return [created, await stream.fence(() => stage.put("~fence"))];
    },
  },
  {
    title: "a revision that changes several keys is told at once, in the order of operations",
    play: async (stage, stream) => {
      stream.create({ key: "m", range_end: "n" });
      await stream.take(1);
      await stage.txn(put("m2", "x"), put("m1", "y"), put("other", "z"), put("m3", "w"));
      await stage.del("m", "n");
      return [await stream.fence(() => stage.put("~fence"))];
    },
  },
  {
    title: "a watch from the past is told of all since then, then of what happens",
    play: async (stage, stream) => {
      for (const value of ["1", "2", "3"]) await stage.put("p", value);
      stream.create({ key: "p", start_revision: stage.at(3), prev_kv: true });
      const past = await stream.take(2);
      await stage.put("p", "4");
      return [past, await stream.fence(() => stage.put("~fence"))];
    },
  },
  {
    title: "a watch from a future revision is told of nothing before it, and makes no progress",
    play: async (stage, stream) => {
      stream.create({ key: "u", start_revision: stage.at(4) });
      const created = await stream.take(1);
      stream.send({ progress_request: {} });
      await stage.put("u", "2");
      await stage.put("u", "3");
      await stage.put("u", "4");
      return [created, await stream.fence(() => stage.put("~fence"))];
    },
    newer: "it answers such a progress request",
  },
  {
    title: "ranges: a prefix, from a key on, everything; none where the end is not after the key",
    play: async (stage, stream) => {
      stream.create({ key: "ra", range_end: "rb" });
      stream.create({ key: "ra", range_end: NO_END });
      stream.create({ key: "", range_end: NO_END });
      stream.create({ key: "rb", range_end: "ra" });
      stream.create({ key: "ra", range_end: "ra" });
      stream.create({ key: "", range_end: "rb" });
      stream.create({ key: "" });
      const created = await stream.take(7);
      await stage.txn(put("r", "1"), put("ra", "2"), put("ra/x", "3"), put("rb", "4"));
      return [created, await stream.take(4)];
    },
  },
  {
    title: "a canceled watch is told of nothing more, and its ID is free again; an unknown one is not answered",
    play: async (stage, stream) => {
      stream.create({ key: "c", watch_id: 5 });
      stream.create({ key: "c", watch_id: 6 });
      stream.send({ cancel_request: { watch_id: 77 } });
      stream.send({ cancel_request: { watch_id: 5 } });
      const canceled = await stream.take(3);
      await stage.put("c", "1");
      const told = await stream.fence(() => stage.put("~fence"));
      stream.create({ key: "c", watch_id: 5 });
      return [canceled, told, await stream.take(1)];
    },
  },
  {
    title: "progress is told for all watches of a stream at once",
    play: async (stage, stream) => {
      stream.create({ key: "g" });
      stream.create({ key: "h" });
      await stream.take(2);
      await stage.put("g", "1");
      const told = await stream.fence(() => stage.put("~fence"));
      stream.send({ progress_request: {} });
      return [told, await stream.take(1)];
    },
  },
  {
    title: "a lease that is revoked deletes its keys in one revision",
    play: async (stage, stream) => {
      const ID = 4000 + plays;
      await stage.lease("LeaseGrant", { ID, TTL: 600 });
      stream.create({ key: "l", range_end: "m", prev_kv: false });
      await stream.take(1);
      await stage.put("l1", "x", { lease: ID });
      await stage.put("l2", "x", { lease: ID });
      await stage.lease("LeaseRevoke", { ID });
      const told = JSON.stringify(await stream.fence(() => stage.put("~fence")));
      return [told.replaceAll(`lease ${ID}`, "lease ID")];
    },
  },
  {
    title: "an empty request is passed over",
    play: async (_stage, stream) => {
      stream.send({});
      stream.create({ key: "e" });
      return [await stream.take(1)];
    },
  },
  {
    title: "a client that has no more to ask is still told",
    play: async (stage, stream) => {
      stream.create({ key: "half" });
      const created = await stream.take(1);
      stream.halfClose();
      await stage.put("half", "1");
      return [created, await stream.take(1)];
    },
  },
  {
    title: "a long past comes in order, each revision whole",
    play: async (stage, stream) => {
      for (let at = 0; at < 60; at++) await stage.txn(put("z1", `${at}`), put("z2", `${at}`));
      stream.create({ key: "z", range_end: "{", start_revision: stage.at(2) });
      await stream.take(1);
      return [await stream.events(120)];
    },
  },
  {
    title: "a past of more than a response of fragments holds comes whole",
    play: async (stage, stream) => {
      for (const name of ["1", "2", "3", "4"]) await stage.put(`big${name}`, name.repeat(700_000));
      stream.create({ key: "big", range_end: "bih", start_revision: stage.at(2), fragment: true });
      await stream.take(1);
      return [await stream.events(4)];
    },
  },
  {
    title: "a watch from what is compacted is canceled, and told from where there is history; one from there is not",
    play: async (stage, stream) => {
      for (const value of ["1", "2", "3"]) await stage.put("k", value);
      await stage.compact(3);
      stream.create({ key: "k", start_revision: stage.at(2), watch_id: 2 });
      stream.create({ key: "k", start_revision: stage.at(3), watch_id: 3, prev_kv: true });
      return [await stream.take(4)];
    },
  },
  {
    title: "a watch from a negative revision is refused as compacted",
    play: async (_stage, stream) => {
      stream.create({ key: "n", start_revision: -1 });
      return [await stream.take(1)];
    },
    newer: "it takes the revision, and cancels the watch later",
  },
];

async function playOn(address: string, { play }: Scenario): Promise<Found> {
  plays++;
  using stage = await WatchStage.start(address);
  return await play(stage, await stage.open());
}

function compareWith(binaries: EtcdBinaries, isNewest: boolean): void {
  test(`etcd ${binaries.version}`, { timeout: 180_000 }, async () => {
    await using muster = await startMusterV3();
    await using etcd = await startEtcd(binaries);
    const differences: unknown[] = [];
    for (const scenario of SCENARIOS) {
      if (scenario.newer !== undefined && !isNewest) continue;
      const got = await playOn(muster.address, scenario);
      const expected = await playOn(etcd.clientAddress, scenario);
      if (JSON.stringify(got) !== JSON.stringify(expected)) differences.push([scenario.title, { got, expected }]);
    }
    expect(differences).toEqual([]);
  });
}

await describeWithEtcd("watches are answered as by", (binaries) => compareWith(binaries, false));
await describeWithEtcdGo("3.7", "watches are answered as by", (binaries) => compareWith(binaries, true));
