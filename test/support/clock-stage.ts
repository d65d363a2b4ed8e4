/** Several processes on one store, each on a machine with a clock of its own. */
import { SteadyClock } from "../../src/base/steady-clock.ts";
import { PeerClocks } from "../../src/domain/peer-clocks.ts";
import { type RemoteEngine, SharedStore } from "./shared-store.ts";

/** A machine whose clock is wrong by `wrongMs`, where `laterMs` more have passed; both may be changed. And the process on it. */
export interface ClockProcess {
  readonly engine: RemoteEngine;
  readonly machine: { wrongMs: number; laterMs: number };
  readonly clock: SteadyClock;
  readonly peers: PeerClocks;
  readonly said: string[];
  close(): Promise<void>;
}

export class ClockStage {
  readonly store = new SharedStore({
    seed: 1,
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
  });
  /** Done when the stage is closed, the last one first. */
  readonly closing: (() => Promise<void>)[] = [];

  /** `place`: as PeerClocks takes it; absent: it is not known. */
  open(id: string, wrongMs = 0, place?: string): ClockProcess {
    const engine = this.store.connect();
    const machine = {
      wrongMs,
      laterMs: 0,
      now: () => Date.now() + machine.wrongMs + machine.laterMs,
      monotonic: () => performance.now() + machine.laterMs,
      sinceBoot: () => performance.now() + machine.laterMs,
    };
    const clock = new SteadyClock({ machine, onJump: () => undefined });
    const said: string[] = [];
    const say = (_fields: object, message: string) => void said.push(message);
    const peers = PeerClocks.open({ engine, clock, log: { info: say, warn: say }, id, place });
    const close = () => peers.close();
    this.closing.push(close);
    return { engine, machine, clock, peers, said, close };
  }

  async close(): Promise<void> {
    for (const close of this.closing.splice(0).reverse()) await close();
    await this.store.engine.close();
  }
}
