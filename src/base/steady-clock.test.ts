import { beforeEach, describe, expect, it } from "vitest";
import { CLOCK_JUMP_MS } from "./limits.ts";
import { type ClockJump, SteadyClock } from "./steady-clock.ts";

const START = 1_700_000_000_000;
const YEAR_MS = 365 * 24 * 3600 * 1000;

let wall: number;
let elapsed: number;
let slept: number;
let jumps: ClockJump[];
let clock: SteadyClock;

beforeEach(() => {
  wall = START;
  elapsed = 5_000;
  slept = 70_000;
  jumps = [];
  clock = new SteadyClock({
    machine: { now: () => wall, monotonic: () => elapsed, sinceBoot: () => elapsed + slept },
    onJump: (jump) => jumps.push(jump),
  });
});

function pass(ms: number): void {
  wall += ms;
  elapsed += ms;
}

describe("SteadyClock", () => {
  it("is the wall clock while that moves as time passes, however long nobody looks", () => {
    for (const ms of [1, 1_000, YEAR_MS]) {
      pass(ms);
      expect(clock.now()).toBe(wall);
    }
    expect(jumps).toEqual([]);
    expect(clock.wallAheadMs).toBe(0);
  });

  it.each([YEAR_MS, 2 * CLOCK_JUMP_MS, -2 * CLOCK_JUMP_MS, -YEAR_MS])(
    "goes on as time passes when the wall clock jumps by %d ms, and says so once",
    (jumpMs) => {
      pass(1_000);
      wall += jumpMs;
      expect(clock.now()).toBe(START + 1_000);
      pass(60_000);
      expect(clock.now()).toBe(START + 61_000);
      expect(jumps).toEqual([{ jumpMs, wallAheadMs: jumpMs }]);
      expect(clock.wallAheadMs).toBe(jumpMs);
    },
  );

  it("finds a jump out at the next look, though time passed before and after it", () => {
    pass(40_000);
    wall -= YEAR_MS;
    pass(2_000);
    expect(clock.now()).toBe(START + 42_000);
  });

  it("is the wall clock again when that is set right", () => {
    wall += YEAR_MS;
    clock.now();
    pass(10_000);
    wall -= YEAR_MS + 20;
    expect(clock.now()).toBe(wall);
    expect(clock.wallAheadMs).toBe(0);
    expect(jumps.map(({ wallAheadMs }) => wallAheadMs)).toEqual([YEAR_MS, 0]);
  });

  it("follows small steps, in either state: a clock that is kept right by them does not get away", () => {
    for (const offset of [0, YEAR_MS]) {
      wall += offset;
      clock.now();
      for (let step = 0; step < 10; step++) {
        pass(1_000);
        wall += CLOCK_JUMP_MS / 2;
        const before = clock.now();
        pass(1);
        expect(clock.now()).toBe(before + 1);
      }
    }
    expect(clock.now()).toBe(wall - YEAR_MS);
    expect(jumps).toHaveLength(1);
  });

  it("takes the machine's sleep for time that passed", () => {
    pass(1_000);
    slept += 8 * 3600 * 1000;
    wall += 8 * 3600 * 1000;
    expect(clock.now()).toBe(wall);
    pass(1_000);
    expect(clock.now()).toBe(wall);
    expect(jumps).toEqual([]);
  });

  it("tells sleep and a jump apart that come together", () => {
    slept += 3600_000;
    wall += 3600_000 + YEAR_MS;
    expect(clock.now()).toBe(START + 3600_000);
    expect(jumps).toEqual([{ jumpMs: YEAR_MS, wallAheadMs: YEAR_MS }]);
  });

  it("takes no jump for one where the process was stopped between reading the two clocks", () => {
    let stops = 1;
    const stopping = new SteadyClock({
      machine: {
        now: () => {
          const read = wall;
          if (stops-- === 0) pass(60_000);
          return read;
        },
        monotonic: () => elapsed,
        sinceBoot: () => elapsed + slept,
      },
      onJump: (jump) => jumps.push(jump),
    });
    stops = 0;
    stopping.now();
    expect(stopping.now()).toBe(START + 60_000);
    expect(jumps).toEqual([]);
  });

  it("starts from the time that was reached already where the wall clock stands before it", () => {
    clock.startNotBefore(START + YEAR_MS);
    expect(clock.now()).toBe(START + YEAR_MS);
    pass(1_000);
    expect(clock.now()).toBe(START + YEAR_MS + 1_000);
    expect(jumps).toEqual([{ jumpMs: -YEAR_MS, wallAheadMs: -YEAR_MS }]);
  });

  it("starts by the wall clock where that stands behind what was reached, or only just before it", () => {
    clock.startNotBefore(START - YEAR_MS);
    clock.startNotBefore(START + CLOCK_JUMP_MS);
    expect(clock.now()).toBe(START);
    expect(jumps).toEqual([]);
  });
});
