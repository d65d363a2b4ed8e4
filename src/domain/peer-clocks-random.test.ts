/** Two Musters that keep time and a third that does not, whatever befalls them, their machines and their ways to the store. */
import fc from "fast-check";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type ClockProcess, ClockStage } from "../../test/support/clock-stage.ts";
import { passTime } from "../../test/support/pass-time.ts";
import { timeOver } from "../base/clock.ts";
import { MAX_PEER_CLOCK_MS, PEER_CLOCK_ASKS, PEER_CLOCK_DOUBT_INTERVAL_MS } from "../base/peer-clock-limits.ts";

const RUNS = Number(process.env.MUSTER_TEST_PROGRAMS ?? 100);
const TEN_MINUTES = 600_000;
const GIVEN_UP_MS = (PEER_CLOCK_ASKS + 1) * PEER_CLOCK_DOUBT_INTERVAL_MS + 2_000;
/** Longer than one that keeps time is away. */
const AWAY_MS = 7_000;
/** Longer than the third takes for all that it does at its end. */
const END_MS = 12_000;

const wrongMs = fc.constantFrom(TEN_MINUTES, -TEN_MINUTES, 5_000, 0);
/** Where one is started again; elsewhere is where none was before. */
const place = fc.constantFrom("same" as const, "elsewhere" as const, "unknown" as const);
const restart = fc.record({
  kind: fc.constant("restart" as const),
  which: fc.constantFrom(0, 1),
  crashes: fc.boolean(),
  afterMs: fc.integer({ min: 0, max: 6_000 }),
  place,
});
const trouble = fc.record({
  kind: fc.constantFrom("freeze" as const, "cut" as const),
  whose: fc.constantFrom("all" as const, 0, 1, 2),
  forMs: fc.integer({ min: 100, max: 8_000 }),
});
const step = fc.record({
  act: fc.oneof(
    // Instead of the one that runs, if one does: that crashes.
    fc.record({ kind: fc.constant("start" as const), wrongMs, place }),
    fc.record({ kind: fc.constant("start" as const), wrongMs, place }),
    restart,
    // Of one that keeps time: it goes on by the time that it had. Two clocks that are wrong alike would be most.
    fc.record({
      kind: fc.constant("jump" as const),
      which: fc.constantFrom(0, 1),
      wrongMs: fc.constantFrom(2 * TEN_MINUTES, -7_000, 0),
    }),
    fc.record({ kind: fc.constant("stop" as const) }),
    fc.record({ kind: fc.constant("setClock" as const), wrongMs }),
    trouble,
    trouble,
  ),
  passMs: fc.oneof(fc.integer({ min: 0, max: 2_000 }), fc.integer({ min: 0, max: 30_000 })),
  /** How often somebody looks at the clocks meanwhile: that may be what finds a jump. */
  looksEveryMs: fc.constantFrom(50, 700, 40_000),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
type Place = typeof place extends fc.Arbitrary<infer T> ? T : never;
type Restart = typeof restart extends fc.Arbitrary<infer T> ? T : never;
type Trouble = typeof trouble extends fc.Arbitrary<infer T> ? T : never;

class Scene {
  readonly #stage = new ClockStage();
  #started = 0;
  #passed = 0;
  /** Of them at most one is away at a time. */
  readonly #right: (ClockProcess | undefined)[] = [this.#open("a", 0, "same"), this.#open("b", 0, "same")];
  #third: ClockProcess | undefined;
  #isOver = false;

  async run(steps: readonly Step[]): Promise<void> {
    await passTime(3_000);
    for (const { act, passMs, looksEveryMs } of steps) {
      this.#act(act);
      await passTime(passMs, () => {
        this.#passed++;
        if ((this.#passed * 50) % looksEveryMs === 0) this.#look();
        return false;
      });
      this.#look();
    }
  }

  /** All are right, and reach the store: then all are trusted, in no longer than a peer that died is waited for. */
  async end(): Promise<void> {
    await passTime(AWAY_MS);
    for (const { engine, machine } of this.#all()) {
      machine.wrongMs = 0;
      engine.thaw();
      engine.mend();
    }
    const areTrusted = () => this.#all().map(({ peers }) => peers.isTrusted);
    await passTime(GIVEN_UP_MS, () => !areTrusted().includes(false));
    expect(areTrusted(), "whether each process is trusted in the end").not.toContain(false);
  }

  async close(): Promise<void> {
    this.#isOver = true;
    const closed = this.#stage.close();
    await passTime(END_MS);
    await closed;
  }

  #all(): readonly ClockProcess[] {
    return [...this.#right, this.#third].flatMap((process) => process ?? []);
  }

  #open(name: string, wrongMs: number, where: Place): ClockProcess {
    const id = `${name}${this.#started++}`;
    const places = { same: name, elsewhere: id, unknown: undefined };
    return this.#stage.open(id, wrongMs, places[where]);
  }

  #act(act: Step["act"]): void {
    switch (act.kind) {
      case "start":
        this.#third?.engine.cut();
        this.#third = this.#open("c", act.wrongMs, act.place);
        return;
      case "restart":
        this.#restart(act);
        return;
      case "jump": {
        const machine = this.#right[act.which]?.machine;
        if (machine !== undefined) machine.wrongMs = act.wrongMs;
        return;
      }
      case "stop":
        void this.#third?.close();
        this.#third = undefined;
        return;
      case "setClock":
        if (this.#third !== undefined) this.#third.machine.wrongMs = act.wrongMs;
        return;
      case "freeze":
      case "cut":
        for (const [place, process] of this.#all().entries()) {
          if (act.whose === "all" || act.whose === place) this.#befall(process, act);
        }
    }
  }

  #restart({ which, crashes, afterMs, place: where }: Restart): void {
    const process = this.#right[which];
    // It begins by its machine's clock.
    if (this.#right.includes(undefined) || process?.machine.wrongMs !== 0) return;
    if (crashes) process.engine.cut();
    else void process.close();
    this.#right[which] = undefined;
    setTimeout(() => {
      if (!this.#isOver) this.#right[which] = this.#open(which === 0 ? "a" : "b", 0, where);
    }, afterMs);
  }

  #befall(process: ClockProcess, { kind, forMs }: Trouble): void {
    const { engine } = process;
    if (kind === "freeze") engine.freeze();
    else engine.cut();
    const over = () => (kind === "freeze" ? engine.thaw() : engine.mend());
    // One that crashed meanwhile is not heard again.
    setTimeout(() => this.#all().includes(process) && over(), forMs);
  }

  /** What a request would meet now. */
  #look(): void {
    for (const [place, { peers }] of this.#all().entries()) {
      const wrong = peers.clock.now() - Date.now();
      const over = timeOver(peers.clock) - Date.now();
      expect(over, `process ${place} lets go what is due so much later, in ms`).toBeLessThanOrEqual(MAX_PEER_CLOCK_MS);
      if (peers.isUncertain) continue;
      expect(Math.abs(wrong), `process ${place} gives times that are so wrong, in ms`).toBeLessThanOrEqual(
        MAX_PEER_CLOCK_MS,
      );
    }
  }
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"] });
});

afterEach(() => {
  vi.useRealTimers();
});

it("no process gives times or lets anything go by a clock that the others tell is wrong", async () => {
  const run = async (steps: readonly Step[]) => {
    const scene = new Scene();
    try {
      await scene.run(steps);
      await scene.end();
    } finally {
      await scene.close();
    }
  };
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 20 }), run), { numRuns: RUNS });
}, 300_000);
