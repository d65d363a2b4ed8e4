import type { MusterError } from "../../base/errors.ts";
import { WATCH_MESSAGE_BYTES, WATCH_QUEUE_BYTES, WATCH_QUEUE_EVENTS } from "../../base/limits.ts";
import type { WatchMessage } from "../model.ts";

/** What a watch has for its reader. Who fills it waits while it is full, so that a slow reader costs bounded memory. */
export class EtcdWatchQueue {
  #messages: WatchMessage[] = [];
  #taken = 0;
  #bytes = 0;
  #end: { readonly error: MusterError | undefined } | undefined;
  #onMessage: () => void = () => {};
  #onRoom: () => void = () => {};

  get isFull(): boolean {
    return this.#bytes > WATCH_QUEUE_BYTES || this.#messages.length - this.#taken > WATCH_QUEUE_EVENTS;
  }

  push(message: WatchMessage): void {
    this.#messages.push(message);
    this.#bytes += bytesOf(message);
    this.#onMessage();
  }

  /** With an error: it is thrown once what is there has been read. Without: there is nothing more to read at once. */
  end(error: MusterError | undefined): void {
    if (this.#end !== undefined) {
      return;
    }
    this.#end = { error };
    if (error === undefined) {
      this.#messages = [];
      this.#taken = 0;
    }
    this.#onMessage();
    this.#onRoom();
  }

  get hasEnded(): boolean {
    return this.#end !== undefined;
  }

  /** The next message, if one is at hand and tells events: progress keeps its place until it is iterated to. */
  takeEvents(): WatchMessage | undefined {
    return this.#messages[this.#taken]?.kind === "events" ? this.take() : undefined;
  }

  /** The next message, if one is at hand. */
  take(): WatchMessage | undefined {
    const message = this.#messages[this.#taken];
    if (message === undefined) {
      return undefined;
    }
    this.#taken++;
    this.#bytes -= bytesOf(message);
    if (this.#taken === this.#messages.length) {
      this.#messages = [];
      this.#taken = 0;
    }
    if (!this.isFull) {
      this.#onRoom();
    }
    return message;
  }

  /** The next message, or undefined when there will be none. Rejects with the error that it ended with. */
  async next(): Promise<WatchMessage | undefined> {
    for (;;) {
      const message = this.take();
      if (message !== undefined) {
        return message;
      }
      if (this.#end !== undefined) {
        if (this.#end.error !== undefined) throw this.#end.error;
        return undefined;
      }
      await new Promise<void>((resolve) => {
        this.#onMessage = resolve;
      });
    }
  }

  /** Resolves when there is room, or when it has ended. */
  async room(): Promise<void> {
    while (this.isFull && this.#end === undefined) {
      await new Promise<void>((resolve) => {
        this.#onRoom = resolve;
      });
    }
  }
}

function bytesOf(message: WatchMessage): number {
  if (message.kind === "progress") {
    return WATCH_MESSAGE_BYTES;
  }
  let bytes = WATCH_MESSAGE_BYTES;
  for (const { kv, prevKv } of message.events) {
    bytes += kv.key.length + kv.value.length + (prevKv === undefined ? 0 : prevKv.key.length + prevKv.value.length);
  }
  return bytes;
}
