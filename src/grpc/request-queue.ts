/** The requests of a stream, between those who bring them and the handler that iterates over them. */
import { apart } from "../base/bytes.ts";
import type { Codec } from "./service.ts";

/** How many requests wait for the handler before the client is kept from sending more. */
const MOST_WAITING = 16;

/** How many bytes of them. */
const MOST_WAITING_BYTES = 256 * 1024;

/** What the queue asks of the stream that feeds it. */
export interface Feed {
  pause(): void;
  resume(): void;
  /** A message that was taken up: its bytes as they came. */
  onTaken(bytes: number): void;
  /** What is thrown at the handler for a message that cannot be decoded; it ends the call. */
  refuse(error: unknown): Error;
}

/** Iterated over by one handler, once. Messages are decoded when the handler gets to them. */
export class RequestQueue implements AsyncIterableIterator<unknown> {
  readonly #codec: Codec<unknown>;
  readonly #feed: Feed;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  /** Whether it has no room for more. */
  isPaused = false;
  #isOver = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(codec: Codec<unknown>, feed: Feed) {
    this.#codec = codec;
    this.#feed = feed;
  }

  /** What waits for the handler, and what keeping it takes, in bytes. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  push(message: Buffer): void {
    if (this.#isOver) return;
    this.#waiting.push(apart(message));
    this.#waitingBytes += bytesOf(message);
    const isFull = this.#waiting.length >= MOST_WAITING || this.#waitingBytes >= MOST_WAITING_BYTES;
    if (isFull && !this.isPaused) {
      this.isPaused = true;
      this.#feed.pause();
    }
    this.#wakeUp();
  }

  /** There are no more; those that wait are still given. */
  end(): void {
    this.#isOver = true;
    this.#wakeUp();
  }

  /** The call is over: the iteration throws `failure` at once. */
  fail(failure: Error): void {
    this.#failure ??= failure;
    this.#drop();
    this.#wakeUp();
  }

  async next(): Promise<IteratorResult<unknown, undefined>> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const message = this.#waiting.shift();
      if (message !== undefined) return { value: this.#taken(message), done: false };
      if (this.#isOver) return { value: undefined, done: true };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** The handler wants no more: what still comes is dropped. */
  async return(): Promise<IteratorResult<unknown, undefined>> {
    this.#drop();
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #taken(message: Buffer): unknown {
    this.#waitingBytes -= bytesOf(message);
    if (this.isPaused && this.#waiting.length === 0) this.#flow();
    this.#feed.onTaken(message.length);
    try {
      return this.#codec.decode(message);
    } catch (error) {
      throw this.#feed.refuse(error);
    }
  }

  #drop(): void {
    this.#isOver = true;
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (this.isPaused) this.#flow();
  }

  #flow(): void {
    this.isPaused = false;
    this.#feed.resume();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

/** What a message that waits takes beside its bytes, about. */
const WAITING_MESSAGE_BYTES = 128;

function bytesOf(message: Buffer): number {
  return message.length + WAITING_MESSAGE_BYTES;
}
