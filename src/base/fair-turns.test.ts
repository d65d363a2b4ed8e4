import { once } from "node:events";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { FairTurns } from "./fair-turns.ts";
import { FAIR_SLICE_MS } from "./limits.ts";

/** Work that takes as long as a slice each time, on a clock of its own, and notes in which turn of the loop it was done. */
class Workshop {
  readonly done: string[] = [];
  readonly turns = new FairTurns(() => this.#time);
  #time = 0;

  async work(owner: string, ms = FAIR_SLICE_MS): Promise<void> {
    const turn = this.turns.enter(owner);
    if (turn !== undefined) await turn;
    // As work does that reads in several steps: it is not over when it first waits.
    for (let step = 0; step < 5; step++) await Promise.resolve();
    this.#time += ms;
    this.done.push(owner);
  }
}

describe("FairTurns", () => {
  it("lets work go on at once while a turn has time", () => {
    const { turns } = new Workshop();
    expect(turns.enter("a")).toBeUndefined();
    expect(turns.enter("b")).toBeUndefined();
  });

  it("does one slice in a turn of the event loop", async () => {
    const workshop = new Workshop();
    await workshop.work("a");
    for (let piece = 0; piece < 6; piece++) void workshop.work("a", FAIR_SLICE_MS / 2);
    const seen: number[] = [];
    for (let turn = 0; turn < 4; turn++) {
      await nextTurn();
      seen.push(workshop.done.length);
    }
    expect(seen).toEqual([3, 5, 7, 7]);
  });

  it("serves who comes late to a long queue in the next round, not behind all that wait", async () => {
    const workshop = new Workshop();
    await workshop.work("busy");
    const busy = Array.from({ length: 100 }, () => workshop.work("busy"));
    const late = workshop.work("other");
    await late;
    expect(workshop.done.filter((owner) => owner === "busy").length).toBeLessThanOrEqual(3);
    await Promise.all(busy);
    expect(workshop.done.length).toBe(102);
  });

  it("gives each owner one piece a round, in the order of arrival within one", async () => {
    const workshop = new Workshop();
    await workshop.work("a");
    await Promise.all(["a", "a", "a", "b", "b", "c"].map((owner) => workshop.work(owner)));
    expect(workshop.done.join("")).toBe("aabcaba");
  });

  it("lets timers and connections be served between two slices", async () => {
    const workshop = new Workshop();
    await workshop.work("a");
    const all = Promise.all(Array.from({ length: 50 }, () => workshop.work("a")));
    const signal = AbortSignal.timeout(1);
    await once(signal, "abort");
    expect(workshop.done.length).toBeGreaterThan(0);
    await all;
    expect(workshop.done.length).toBe(51);
  });

  it("goes on at once again when nobody waits any more", async () => {
    const workshop = new Workshop();
    await Promise.all(Array.from({ length: 5 }, () => workshop.work("a")));
    await nextTurn();
    await nextTurn();
    expect(workshop.turns.enter("a")).toBeUndefined();
  });
});
