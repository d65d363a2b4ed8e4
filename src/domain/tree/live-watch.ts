/** A watch of the tree on what comes, and on what its history has. */
import { fairTurns } from "../../base/fair-turns.ts";
import type { Revision } from "../../engine/model.ts";
import { firstEvents } from "./first-events.ts";
import type { FirstEventListener, TreeEvent, TreeWatch } from "./model.ts";
import type { Subscription } from "./watch-hub.ts";
import type { QueueReader } from "./watch-queue.ts";

export class LiveWatch implements TreeWatch, QueueReader {
  readonly #subscription: Subscription;
  readonly #owner: string;
  #listener: FirstEventListener | undefined;

  constructor(subscription: Subscription, owner: string) {
    this.#subscription = subscription;
    this.#owner = owner;
  }

  get index(): Revision {
    return this.#subscription.interest.index;
  }

  close(): void {
    this.#subscription.close();
  }

  tellFirst(listener: FirstEventListener): void {
    this.#listener = listener;
    this.#subscription.queue.tell(this);
  }

  onReady(): void {
    const listener = this.#listener;
    const event = this.#subscription.queue.first;
    this.#listener = undefined;
    if (listener === undefined) return;
    if (event === undefined) listener.onEnd();
    else firstEvents.add(this.#owner, { listener, event });
  }

  [Symbol.asyncIterator](): AsyncIterator<TreeEvent> {
    return inTurn(this.#subscription, this.#owner);
  }
}

/** One event may concern thousands who wait: they are told in turns, and others are served in between. */
export async function* inTurn(subscription: Subscription, owner: string): AsyncGenerator<TreeEvent> {
  try {
    for await (const event of subscription.queue) {
      const turn = fairTurns.enter(owner);
      if (turn !== undefined) await turn;
      yield event;
    }
  } finally {
    subscription.close();
  }
}
