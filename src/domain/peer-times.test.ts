import { beforeEach, describe, expect, it } from "vitest";
import { PEER_CLOCK_ASKS, PEER_CLOCK_TRIP_MS } from "../base/peer-clock-limits.ts";
import { type ClockRecord, clockRecordKey, writeClockRecord } from "./peer-clock-record.ts";
import { PeerTimes } from "./peer-times.ts";

const START = 1_700_000_000_000;

let now: number;
let times: PeerTimes;

beforeEach(() => {
  now = START;
  times = new PeerTimes({ now: () => now, monotonic: () => now }, { id: "own", place: "here" });
});

function record(id: string, told: Partial<ClockRecord>) {
  const value = writeClockRecord({ at: START, asks: false, seen: {}, ...told });
  return { key: clockRecordKey(id), value };
}

describe("PeerTimes", () => {
  it("knows a peer's clock by its answer, to within half of the way there and back", () => {
    now += 80;
    times.hear(record("b", { at: START + 5_040, seen: { own: START } }));
    expect(times.differences()).toEqual([5_000]);
  });

  it("keeps the more exact of two readings that agree, as long as clocks do not drift further, and else the newer", () => {
    const hear = (ahead: number, trip: number) => {
      now += trip;
      times.hear(record("b", { at: now + ahead, seen: { own: now - trip } }));
      return times.differences();
    };
    expect(hear(5_000, 20)).toEqual([5_010]);
    // 5,000 would be possible by both.
    expect(hear(4_800, 600)).toEqual([5_010]);
    now += 400_000;
    expect(hear(4_800, 600)).toEqual([5_100]);
    expect(hear(5_100, 0)).toEqual([5_100]);
    // Its clock was set.
    expect(hear(-300, 800)).toEqual([100]);
  });

  it.each([
    { it: "no answer to the process itself", seen: { other: START } },
    { it: "heard too late", seen: { own: START - PEER_CLOCK_TRIP_MS - 1 } },
    { it: "an answer to a time that is still to come", seen: { own: START + 1 } },
  ])("knows nothing by a record that is $it", ({ seen }) => {
    expect(times.hear(record("b", { at: START - 600_000, seen }))).toEqual({ asks: false, isNew: true });
    expect(times.differences()).toEqual([]);
    expect(times.isComplete(true)).toBe(false);
  });

  it("does not take its own record, or one that it cannot read, for a peer's", () => {
    times.meet([record("own", {}), { key: clockRecordKey("c"), value: Uint8Array.of(1) }]);
    expect(times.hear(record("own", { asks: true }))).toEqual({ asks: false, isNew: false });
    expect(times.isComplete(false)).toBe(true);
  });

  it("waits for those whose records stand; not for a silent one at its own place when it has waited enough", () => {
    times.meet([record("b", { place: "there" }), record("c", { place: "here" })]);
    times.hear(record("b", { seen: { own: START } }));
    expect(times.isComplete(false)).toBe(false);
    expect(times.isComplete(true)).toBe(true);
    // It lives after all.
    times.hear(record("c", { place: "here" }));
    expect(times.isComplete(true)).toBe(false);
  });

  it.each([{ place: "there" }, {}])("waits for a silent one that may live elsewhere (%o)", (told) => {
    times.meet([record("b", told)]);
    expect(times.isComplete(true)).toBe(false);
    for (let asked = 0; asked <= PEER_CLOCK_ASKS; asked++) times.countAsk();
    expect(times.isComplete(false)).toBe(true);
  });

  it("takes nobody for its predecessor where it does not know its own place", () => {
    times = new PeerTimes({ now: () => now, monotonic: () => now }, { id: "own" });
    times.meet([record("b", {})]);
    expect(times.isComplete(true)).toBe(false);
  });

  it("counts of those with one place only who was heard last, and waits for no other", () => {
    const wrong = { at: START + 600_000, seen: { own: START } };
    times.meet([record("unheard", { place: "there" })]);
    times.hear(record("first", { ...wrong, place: "there" }));
    times.hear(record("second", { ...wrong, place: "there" }));
    times.hear(record("third", { seen: { own: START }, place: "there" }));
    times.hear(record("b", { seen: { own: START } }));
    times.hear(record("c", { seen: { own: START } }));
    times.meet(["unheard later", "first", "second", "third", "b", "c"].map((id) => record(id, { place: "there" })));
    expect(times.differences()).toEqual([0, 0, 0]);
    expect(times.isComplete(false)).toBe(true);
  });

  it("tells of the times that it saw of late, by which the peers know its own", () => {
    times.hear(record("b", { at: START + 7 }));
    expect(times.seen()).toEqual({ b: START + 7 });
    now += PEER_CLOCK_TRIP_MS + 1;
    expect(times.seen()).toEqual({});
  });

  it("forgets a peer that was asked in vain too often, or that has taken its record back", () => {
    times.hear(record("b", { seen: { own: START } }));
    times.hear(record("c", { seen: { own: START } }));
    for (let asked = 0; asked < PEER_CLOCK_ASKS; asked++) expect(times.countAsk()).toEqual([]);
    times.hear(record("c", {}));
    expect(times.countAsk()).toEqual(["b"]);
    expect(times.differences()).toHaveLength(1);
    times.drop("c");
    expect(times.differences()).toEqual([]);
  });
});
