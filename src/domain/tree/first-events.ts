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
  /** What is still to be told, by whose it is; of an owner who is here, something is being told. */
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
    this.#waiting.set(owner, [telling]);
    queueMicrotask(() => void this.#tell(owner));
  }

  /** First the news to all, then what is left to do for each: whoever waits should not wait for that as well. */
  async #tell(owner: string): Promise<void> {
    for (let tellings = this.#take(owner); tellings !== undefined; tellings = this.#take(owner)) {
      await this.#eachInTurn(owner, tellings, ({ listener, event }) => listener.onEvent(event));
      await this.#eachInTurn(owner, tellings, ({ listener }) => listener.onTold());
    }
  }

  /** All that has gathered; more may come while these are told. */
  #take(owner: string): readonly Telling[] | undefined {
    const tellings = this.#waiting.get(owner) ?? [];
    if (tellings.length > 0) {
      this.#waiting.set(owner, []);
      return tellings;
    }
    this.#waiting.delete(owner);
    return undefined;
  }

  async #eachInTurn(owner: string, tellings: readonly Telling[], work: (telling: Telling) => void): Promise<void> {
    for (let next = 0; next < tellings.length; next += FIRST_EVENTS_PER_TURN) {
      const turn = this.#turns.enter(owner);
      if (turn !== undefined) await turn;
      for (const telling of tellings.slice(next, next + FIRST_EVENTS_PER_TURN)) work(telling);
    }
  }
}

/** Shared by all trees of the process, as its turns are. */
export const firstEvents: FirstEvents = new FirstEvents(fairTurns);
