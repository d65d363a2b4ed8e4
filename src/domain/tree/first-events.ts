/** Tells first events to those who wait for no more: in turns with everybody else, many of one owner in each. */
import { type FairTurns, fairTurns } from "../../base/fair-turns.ts";
import { FIRST_EVENTS_PER_TURN } from "../../base/limits.ts";
import type { FirstEventListener, TreeEvent } from "./model.ts";

interface Telling {
  readonly listener: FirstEventListener;
  readonly event: TreeEvent;
}

export class FirstEvents {
  readonly #turns: FairTurns;
  /** What is still to be told, by whose it is. */
  readonly #waiting = new Map<string, Telling[]>();

  constructor(turns: FairTurns) {
    this.#turns = turns;
  }

  /** Tells it when its owner's turn comes: never within the call. */
  add(owner: string, telling: Telling): void {
    const waiting = this.#waiting.get(owner);
    if (waiting !== undefined) {
      waiting.push(telling);
      return;
    }
    const tellings = [telling];
    this.#waiting.set(owner, tellings);
    queueMicrotask(() => void this.#tell(owner, tellings));
  }

  async #tell(owner: string, tellings: readonly Telling[]): Promise<void> {
    // More may come while these are told: those are told too.
    for (let next = 0; next < tellings.length; ) {
      const turn = this.#turns.enter(owner);
      if (turn !== undefined) await turn;
      const piece = tellings.slice(next, next + FIRST_EVENTS_PER_TURN);
      next += piece.length;
      for (const { listener, event } of piece) listener.onEvent(event);
    }
    this.#waiting.delete(owner);
  }
}

/** Shared by all trees of the process, as its turns are. */
export const firstEvents: FirstEvents = new FirstEvents(fairTurns);
