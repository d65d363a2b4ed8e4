import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ClockProcess, ClockStage } from "../../test/support/clock-stage.ts";
import type { SharedStore } from "../../test/support/shared-store.ts";
import { until } from "../../test/support/until.ts";
import { utf8 } from "../base/bytes.ts";
import { timeOver } from "../base/clock.ts";
import { CLOCK_RECORDS, clockRecordKey, readClockRecord, writeClockRecord } from "./peer-clock-record.ts";
import type { Expiry } from "./tree/model.ts";
import { Tree } from "./tree/tree.ts";
import { parsePath } from "./tree/tree-path.ts";

const TEN_MINUTES = 600_000;
const PATIENCE = { timeoutMs: 40_000 };

let stage: ClockStage;
let store: SharedStore;
let closing: (() => Promise<void>)[];

beforeEach(() => {
  stage = new ClockStage();
  ({ store, closing } = stage);
});

afterEach(() => stage.close());

function open(id: string, wrongMs = 0): ClockProcess {
  return stage.open(id, wrongMs);
}

async function becomes(what: string, isSo: () => boolean): Promise<void> {
  await until(async () => (isSo() ? true : undefined), { ...PATIENCE, what });
}

async function records(): Promise<number> {
  return (await store.engine.range(CLOCK_RECORDS)).kvs.length;
}

describe("PeerClocks", () => {
  it("a process alone is trusted as soon as it knows that it is alone, and leaves no record behind", async () => {
    const alone = open("a");
    expect(alone.peers.isTrusted).toBe(false);
    expect(timeOver(alone.peers.clock)).toBe(0);
    await becomes("trust", () => alone.peers.isTrusted);
    expect(Math.abs(timeOver(alone.peers.clock) - Date.now())).toBeLessThan(5_000);
    await alone.close();
    expect(await records()).toBe(0);
  });

  it("processes whose clocks agree are trusted, and nobody hears of it", async () => {
    const all = [open("a"), open("b", 40), open("c", -40)];
    await becomes("trust in all", () => all.every(({ peers }) => peers.isTrusted));
    expect(all.flatMap(({ peers, said }) => [...said, peers.notice ?? ""]).join("")).toBe("");
  });

  it("of three the one that is off ends nothing and says so; it gives times by its peers' clocks", async () => {
    const right = [open("a"), open("b")];
    await becomes("trust in both", () => right.every(({ peers }) => peers.isTrusted));
    const off = open("c", TEN_MINUTES);
    await becomes("its notice", () => off.peers.notice !== undefined);
    expect(off.peers.isTrusted).toBe(false);
    expect(timeOver(off.peers.clock)).toBe(0);
    expect(off.peers.notice).toMatch(/ (599|600)\.\d s ahead of /);
    expect(off.said).toHaveLength(1);
    // It says so when one of them has answered; what time it is, two have to say.
    await becomes("its peers' time", () => Math.abs(off.peers.clock.now() - Date.now()) < 5_000);
    // The others go on, one wrong clock among them or not.
    for (const { peers } of right) {
      expect(peers.isTrusted).toBe(true);
      expect(peers.notice).toBeUndefined();
    }
  });

  it("of two that disagree neither ends anything", async () => {
    const first = open("a");
    await becomes("trust in the first", () => first.peers.isTrusted);
    const second = open("b", -TEN_MINUTES);
    await becomes("both notices", () => first.peers.notice !== undefined && second.peers.notice !== undefined);
    expect([first.peers.isTrusted, second.peers.isTrusted]).toEqual([false, false]);
    expect(first.peers.notice).toMatch(
      / this one's is (599|600)\.\d s ahead of the other's, .* nobody knows which is wrong/,
    );
    expect(second.peers.notice).toMatch(
      / (599|600)\.\d s behind the other's, .* nothing expires by either, .* are refused$/,
    );
    expect(first.said).toHaveLength(1);
  });

  it("is right again without a restart when its machine's clock has been set right", async () => {
    const right = [open("a"), open("b")];
    const off = open("c", TEN_MINUTES);
    await becomes("its notice", () => off.peers.notice !== undefined);
    off.machine.wrongMs = 0;
    await becomes("trust", () => off.peers.isTrusted);
    expect(off.clock.wallAheadMs).toBe(0);
    expect(Math.abs(off.peers.clock.now() - Date.now())).toBeLessThan(5_000);
    expect(right.every(({ peers }) => peers.isTrusted)).toBe(true);
  });

  it("after a jump of its machine's clock it ends nothing before its peers have confirmed its time", async () => {
    const all = [open("a"), open("b"), open("c")];
    await becomes("trust in all", () => all.every(({ peers }) => peers.isTrusted));
    const [jumped] = all;
    if (jumped === undefined) throw new Error("there is none");
    jumped.machine.wrongMs = TEN_MINUTES;
    expect(jumped.peers.isTrusted).toBe(false);
    await becomes("trust", () => jumped.peers.isTrusted);
    // It goes on by the time that it had.
    expect(Math.abs(timeOver(jumped.peers.clock) - Date.now())).toBeLessThan(5_000);
  });

  it("does not trip over a record that it cannot read", async () => {
    const request = { key: clockRecordKey("strange"), value: utf8("of another release") };
    await store.engine.txn({ compares: [], success: [{ kind: "put", request }], failure: [] });
    const process = open("a");
    await becomes("trust", () => process.peers.isTrusted);
    expect(process.peers.notice).toBeUndefined();
  });

  it("says so when its peers' times do not come through the store soon enough to tell anything", async () => {
    const alone = open("a");
    await becomes("trust", () => alone.peers.isTrusted);
    // Heard, but it has never seen a time of this process early enough to answer it.
    const value = writeClockRecord({ at: Date.now(), asks: true, seen: {} });
    const put = { kind: "put", request: { key: clockRecordKey("slow"), value } } as const;
    await store.engine.txn({ compares: [], success: [put], failure: [] });
    const answered = async () => {
      const [record] = (await store.engine.range({ key: clockRecordKey("a") })).kvs;
      return record !== undefined && "slow" in (readClockRecord(record.value)?.seen ?? {}) ? true : undefined;
    };
    await until(answered, { ...PATIENCE, what: "its answer" });
    alone.machine.wrongMs = 2_000;
    await becomes("doubt, after a jump of its clock", () => !alone.peers.isTrusted);
    expect(alone.peers.notice).toBeUndefined();
    alone.machine.laterMs = 25_000;
    expect(alone.peers.notice).toMatch(/for 2\d s .* not been able to compare its clock/);
    expect(alone.peers.isUncertain).toBe(true);
  });

  it("outlasts a lost connection, and old records that it hears late do not mislead it", async () => {
    const all = [open("a"), open("b"), open("c")];
    await becomes("trust in all", () => all.every(({ peers }) => peers.isTrusted));
    const [cut] = all;
    if (cut === undefined) throw new Error("there is none");
    cut.engine.cut();
    // Meanwhile a peer has written a time that will be old when it is heard.
    const old = writeClockRecord({ at: Date.now() - TEN_MINUTES, asks: false, seen: { a: Date.now() - TEN_MINUTES } });
    const request = { key: clockRecordKey("b"), value: old };
    await store.engine.txn({ compares: [], success: [{ kind: "put", request }], failure: [] });
    cut.engine.mend();
    const late = open("d", -TEN_MINUTES);
    await becomes("its notice", () => late.peers.notice !== undefined);
    for (const { peers, said } of all) {
      expect(peers.isTrusted).toBe(true);
      expect(said).toEqual([]);
    }
  });
});

describe("a tree by the clock of a process that is off", () => {
  it("shows what is past its time, and leaves it to its peers to let it go", async () => {
    const right = [open("a"), open("b")];
    await becomes("trust in both", () => right.every(({ peers }) => peers.isTrusted));
    const off = open("c", TEN_MINUTES);
    await becomes("its notice", () => off.peers.notice !== undefined);
    const [first] = right;
    if (first === undefined) throw new Error("there is none");
    const log = { warn: () => undefined };
    const tree = async ({ engine, peers }: ClockProcess) => {
      const opened = await Tree.open({ engine, clock: peers.clock, log });
      closing.push(() => opened.close());
      return opened;
    };
    const [offTree, rightTree] = [await tree(off), await tree(first)];
    const path = parsePath("/lock");
    const plain = { recursive: false, sorted: false };
    const expires = Date.now() + 300_000;
    const content = { kind: "file", value: utf8("x") } as const;
    await offTree.write({ kind: "create", path, content, expiry: { kind: "at", expires } });
    expect((await offTree.get(path, plain)).node).toMatchObject({ expires });
    expect(await offTree.sweep()).toBe(0);
    await offTree.write({
      kind: "set",
      path,
      content,
      expiry: { kind: "at", expires: Date.now() - 1 },
      refresh: false,
    });
    await expect(rightTree.get(path, plain)).rejects.toMatchObject({ code: "nodeNotFound" });
    await until(async () => ((await store.engine.range({ key: utf8(path) })).kvs.length === 0 ? true : undefined), {
      ...PATIENCE,
      what: "the sweep of a peer",
    });
  });

  it("gives no times to live while nobody knows which clock is right, and otherwise goes on", async () => {
    const alone = open("a");
    const tree = await Tree.open({ engine: alone.engine, clock: alone.peers.clock, log: { warn: () => undefined } });
    closing.push(() => tree.close());
    const content = { kind: "file", value: utf8("x") } as const;
    const write = (expiry: Expiry) =>
      tree.write({ kind: "set", path: parsePath("/f"), content, expiry, refresh: false });
    const timed: Expiry = { kind: "at", expires: Date.now() + TEN_MINUTES };
    await alone.peers.settled();
    await write(timed);
    const other = open("b", TEN_MINUTES);
    await becomes("its notice", () => alone.peers.notice !== undefined);
    await expect(write(timed)).rejects.toMatchObject({ code: "storeUnavailable" });
    await write({ kind: "never" });
    await other.close();
    await becomes("trust", () => alone.peers.isTrusted);
    await write(timed);
  });
});
