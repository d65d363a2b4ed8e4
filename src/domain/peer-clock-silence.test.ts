/** Peers that fall silent, by a time that the test makes pass. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type ClockProcess, ClockStage } from "../../test/support/clock-stage.ts";
import { passTime } from "../../test/support/pass-time.ts";
import { MusterError } from "../base/errors.ts";
import {
  PEER_CLOCK_ASKS,
  PEER_CLOCK_DOUBT_INTERVAL_MS,
  PEER_CLOCK_GRACE_MS,
  PEER_CLOCK_INTERVAL_MS,
  PEER_CLOCK_SETTLE_MS,
} from "../base/peer-clock-limits.ts";
import { CLOCK_RECORDS, clockRecordKey, writeClockRecord } from "./peer-clock-record.ts";

const TEN_MINUTES = 600_000;
/** Longer than a living peer may be silent: a trip, and finding another endpoint. */
const MAY_BE_SILENT_MS = 15_000;
const GIVEN_UP_MS = (PEER_CLOCK_ASKS + 1) * PEER_CLOCK_DOUBT_INTERVAL_MS + 2_000;

let stage: ClockStage;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"] });
  stage = new ClockStage();
});

afterEach(async () => {
  vi.useRealTimers();
  await stage.close();
});

async function twoThatDisagree(): Promise<{ readonly right: ClockProcess; readonly wrong: ClockProcess }> {
  const right = stage.open("a");
  await passTime(3_000);
  const wrong = stage.open("b", TEN_MINUTES);
  // Long enough that they ask ever less often.
  await passTime(180_000);
  expect([right.peers.isTrusted, wrong.peers.isTrusted]).toEqual([false, false]);
  return { right, wrong };
}

/** How many revisions the store gets in a time. */
async function writesWithin(ms: number): Promise<number> {
  const { revision } = await stage.store.engine.status();
  await passTime(ms);
  return (await stage.store.engine.status()).revision - revision;
}

describe("PeerClocks: a peer that falls silent", () => {
  it("is given up soon when it died and its clock was another, but not before a living one would answer", async () => {
    const { right, wrong } = await twoThatDisagree();
    wrong.engine.cut();
    expect(await passTime(MAY_BE_SILENT_MS)).toBe(MAY_BE_SILENT_MS);
    expect(right.peers.isTrusted).toBe(false);
    await passTime(GIVEN_UP_MS - MAY_BE_SILENT_MS, () => right.peers.isTrusted);
    expect(right.peers.isTrusted).toBe(true);
    expect(right.peers.notice).toBeUndefined();
    await passTime(1_000);
    expect((await stage.store.engine.range({ key: clockRecordKey("b") })).kvs).toEqual([]);
  });

  it.each([
    {
      it: "elsewhere: it may live, and be slow to answer",
      place: "there",
      atLeast: MAY_BE_SILENT_MS,
      atMost: GIVEN_UP_MS,
    },
    { it: "where the process runs now: it cannot live", place: "here", atLeast: 0, atMost: 2 * PEER_CLOCK_SETTLE_MS },
  ])("that was silent from the start counts by where it ran, $it", async ({ place, atLeast, atMost }) => {
    const request = { key: clockRecordKey("b"), value: writeClockRecord({ at: 1, asks: true, seen: {}, place }) };
    await stage.store.engine.txn({ compares: [], success: [{ kind: "put", request }], failure: [] });
    const starting = stage.open("a", TEN_MINUTES, "here");
    const took = await passTime(2 * atMost, () => !starting.peers.isUncertain);
    expect(took).toBeGreaterThanOrEqual(atLeast);
    expect(took).toBeLessThanOrEqual(atMost);
    expect(starting.peers.isTrusted).toBe(true);
    expect(starting.peers.notice).toBeUndefined();
  });

  it("counts as gone a while after it left as it should", async () => {
    const { right, wrong } = await twoThatDisagree();
    const closed = wrong.close();
    const most = PEER_CLOCK_GRACE_MS + 500;
    const took = await passTime(2 * most, () => right.peers.isTrusted);
    expect(took).toBeGreaterThanOrEqual(PEER_CLOCK_GRACE_MS - 500);
    expect(took).toBeLessThan(most);
    await closed;
  });

  it("leaves a wrong one no moment of trust in itself when it is only started again", async () => {
    const { right, wrong } = await twoThatDisagree();
    const closed = right.close();
    await passTime(PEER_CLOCK_GRACE_MS / 2, () => wrong.peers.isTrusted);
    await closed;
    const again = stage.open("c");
    await passTime(60_000, () => wrong.peers.isTrusted);
    expect([again.peers.isTrusted, wrong.peers.isTrusted]).toEqual([false, false]);
  });

  it("is not given up while it is only slow to come back", async () => {
    const { right, wrong } = await twoThatDisagree();
    for (let round = 0; round < 5; round++) {
      wrong.engine.cut();
      await passTime(MAY_BE_SILENT_MS, () => right.peers.isTrusted);
      wrong.engine.mend();
      await passTime(3_000, () => right.peers.isTrusted);
    }
    expect(right.peers.isTrusted).toBe(false);
    expect(right.said).toHaveLength(1);
  });

  it("is not given up by who does not hear of the store itself", async () => {
    const { right, wrong } = await twoThatDisagree();
    const written = await stage.store.engine.status();
    right.engine.watch = () => {
      throw new MusterError("storeUnavailable", "try again: nothing is told");
    };
    right.engine.cut();
    right.engine.mend();
    wrong.engine.cut();
    await passTime(GIVEN_UP_MS * 2, () => right.peers.isTrusted);
    expect((await stage.store.engine.status()).revision).toBeGreaterThan(written.revision + PEER_CLOCK_ASKS);
    expect(right.peers.isTrusted).toBe(false);
  });

  it("is waited for no longer after a jump of the own clock, which all peers that live confirm", async () => {
    const [jumped, , dead] = [stage.open("a"), stage.open("b"), stage.open("c")];
    await passTime(90_000);
    dead.engine.cut();
    jumped.machine.wrongMs = TEN_MINUTES;
    expect(jumped.peers.isTrusted).toBe(false);
    await passTime(GIVEN_UP_MS, () => jumped.peers.isTrusted);
    expect(jumped.peers.isTrusted).toBe(true);
  });

  it("writes its record again when it was given up and lives", async () => {
    const { right, wrong } = await twoThatDisagree();
    const success = [{ kind: "deleteRange", request: { key: clockRecordKey("b") } }] as const;
    await stage.store.engine.txn({ compares: [], success, failure: [] });
    await passTime(1_000);
    expect((await stage.store.engine.range(CLOCK_RECORDS)).kvs).toHaveLength(2);
    expect([right.peers.isTrusted, wrong.peers.isTrusted]).toEqual([false, false]);
  });

  it("costs the store no more writes where all clocks agree", async () => {
    const all = [stage.open("a"), stage.open("b", 40), stage.open("c", -40)];
    await passTime(PEER_CLOCK_INTERVAL_MS * 2);
    expect(all.every(({ peers }) => peers.isTrusted)).toBe(true);
    const minutes = 10;
    // Each asks once a minute and answers the others.
    expect(await writesWithin(minutes * PEER_CLOCK_INTERVAL_MS)).toBeLessThanOrEqual(all.length ** 2 * minutes);
  });
});
