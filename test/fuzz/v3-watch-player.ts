/** Plays the watches of a program on one server, so that what they are told does not depend on who is quick. */
import type { ClientDuplexStream } from "@grpc/grpc-js";
import { z } from "zod";
import type { JsonObject } from "../conformance/json.ts";
import type { V3Client } from "../support/v3-client.ts";
import { plainMessage } from "./v3-plain.ts";
import { WATCH } from "./v3-steps.ts";
import {
  FENCE_KEY,
  howMuch,
  isProgressAnswer,
  readWatchResponse,
  type Told,
  type WatchResponse,
  watchesOf,
} from "./v3-watch-told.ts";

/** What is put to see when its event comes; it is not compared, as it may come late. */
const FENCE = { key: Buffer.from(FENCE_KEY) };
/** Stands as long as its stream: what is told before one of its events was under way before that. */
const FENCE_ID = 999;
/** Made and canceled again: whatever was asked before it has been done by then. */
const BARRIER_ID = 998;
const ANSWER_WAIT_MS = 30_000;
/** What has not come by then is lost: over an etcd, a watch is told within milliseconds, and of the past within some 100. */
const LATE_MS = 5_000;

/** A request of a program, for a stream. */
const askedSchema = z.object({
  stream: z.number(),
  end: z.boolean().optional(),
  half_close: z.boolean().optional(),
  create_request: z.looseObject({}).optional(),
  cancel_request: z.looseObject({}).optional(),
  progress_request: z.looseObject({}).optional(),
});

export interface WatchPlayerOptions {
  /** The server's revision when the program began. */
  readonly start: number;
  /** Whether answers to progress requests are compared; they are left out where each comes in its own time. */
  readonly hearsProgress: boolean;
}

export class V3WatchPlayer {
  readonly #client: V3Client;
  readonly #options: WatchPlayerOptions;
  readonly #open = new Map<number, Stream>();
  /** All that were ever open, by names that are the same on every server. */
  readonly #all = new Map<string, Stream>();
  /** Of the last put of the fence. */
  #fenced = 0;
  #hasLost = false;

  constructor(client: V3Client, options: WatchPlayerOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** Waits until all has come that was under way before a step. */
  async prepare(request: object): Promise<void> {
    const { stream: number, end } = askedSchema.parse(request);
    const stream = await this.#stream(number);
    if (end === true || !stream.isHalfClosed) await this.settle();
  }

  /** Does what a step asks of a stream, for which all is prepared; resolves when that is done. */
  async play(request: object): Promise<null> {
    const { stream: number, end, half_close, ...asked } = askedSchema.parse(request);
    const stream = await this.#stream(number);
    if (stream.isHalfClosed && end !== true) return null;
    if (end === true) {
      stream.close();
      this.#open.delete(number);
    } else if (half_close === true) {
      stream.halfClose();
    } else {
      stream.ask(asked);
      const isBehind = (asked.create_request?.start_revision ?? 0) !== 0;
      await stream.passBarrier(isBehind ? this.#fenced : 0);
      if (isBehind) await stream.quieten();
      if (asked.progress_request !== undefined) await this.settle();
    }
    return null;
  }

  /** Waits until all that has happened is told. */
  async settle(): Promise<void> {
    if (this.#open.size === 0) return;
    this.#fenced = await this.#putFence();
    await Promise.all([...this.#open.values()].map((stream) => stream.reachFence(this.#fenced)));
  }

  /**
   * Waits until each watch was told as much as on another server, on which the same was played. What does not come in
   * time is lost, which the comparison shows: nothing is waited for any more then.
   */
  async catchUp(ahead: V3WatchPlayer): Promise<void> {
    for (const [number, stream] of this.#open) {
      if (this.#hasLost) return;
      const due = howMuch(ahead.#open.get(number)?.come ?? []);
      this.#hasLost = !(await stream.isTold(due));
    }
  }

  /** What every watch was told. */
  told(): JsonObject {
    const context = { step: { call: WATCH, request: {} }, start: this.#options.start };
    const show: Told = (response) => plainMessage(response, context);
    const told = [...this.#all].flatMap(([name, stream]) => watchesOf(name, stream.come, show));
    return Object.fromEntries(told);
  }

  close(): void {
    for (const stream of this.#open.values()) stream.close();
    this.#open.clear();
  }

  async #stream(number: number): Promise<Stream> {
    const known = this.#open.get(number);
    if (known !== undefined) return known;
    const stream = new Stream(this.#client.duplex(WATCH), this.#options);
    const name = `stream ${number}, ${this.#all.size}`;
    this.#open.set(number, stream);
    this.#all.set(name, stream);
    stream.ask({ create_request: { ...FENCE, watch_id: FENCE_ID } });
    await stream.until(({ watch_id, created }) => watch_id === FENCE_ID && created, "the fence's watch");
    return stream;
  }

  async #putFence(): Promise<number> {
    const { answers } = await this.#client.call("KV/Put", FENCE);
    return z.object({ header: z.object({ revision: z.coerce.number() }) }).parse(answers[0]).header.revision;
  }
}

type Matches = (response: WatchResponse) => boolean;

class Stream {
  /** What came, but for what the fence and the barrier are told. */
  readonly come: WatchResponse[] = [];
  isHalfClosed = false;
  readonly #stream: ClientDuplexStream<object, object>;
  readonly #own: WatchResponse[] = [];
  #onCome: (error?: Error) => void = () => {};

  constructor(stream: ClientDuplexStream<object, object>, { hearsProgress }: WatchPlayerOptions) {
    this.#stream = stream;
    stream.on("data", (data: unknown) => {
      const response = readWatchResponse(data);
      if (!hearsProgress && isProgressAnswer(response)) return;
      const isOwn = response.watch_id === FENCE_ID || response.watch_id === BARRIER_ID;
      (isOwn ? this.#own : this.come).push(response);
      this.#onCome();
    });
    stream.on("error", (error: Error) => this.#onCome(error));
  }

  ask(request: object): void {
    this.#stream.write(request);
  }

  halfClose(): void {
    this.isHalfClosed = true;
    this.#stream.end();
  }

  close(): void {
    this.#onCome = () => {};
    this.#stream.cancel();
  }

  reachFence(revision: number): Promise<void> {
    const isThere: Matches = ({ watch_id, events }) =>
      watch_id === FENCE_ID && events.some(({ kv }) => kv.mod_revision >= revision);
    return this.until(isThere, `the fence at ${revision}`);
  }

  /**
   * Makes a watch and cancels it. From the past (0: from now on), it has been told of that when all watches before it
   * have: etcd lets those that are behind catch up together, every 100 ms.
   */
  async passBarrier(past: number): Promise<void> {
    this.#own.length = 0;
    this.ask({ create_request: { ...FENCE, watch_id: BARRIER_ID, start_revision: past } });
    const hasBegun: Matches = ({ watch_id, created, events }) =>
      watch_id === BARRIER_ID && (past === 0 ? created : events.length > 0);
    await this.until(hasBegun, "the barrier");
    this.ask({ cancel_request: { watch_id: BARRIER_ID } });
    await this.until(({ watch_id, canceled }) => watch_id === BARRIER_ID && canceled, "the barrier's end");
  }

  /** Waits until nothing comes while a watch comes and goes: Muster lets each that is behind catch up by itself. */
  async quieten(): Promise<void> {
    for (let before = -1; before < this.come.length; ) {
      before = this.come.length;
      await this.passBarrier(0);
    }
  }

  /** Whether each watch was told so much, by their IDs, or is in time. */
  isTold(due: ReadonlyMap<number, number>): Promise<boolean> {
    const isThere = () => {
      const come = howMuch(this.come);
      return [...due].every(([id, much]) => (come.get(id) ?? 0) >= much);
    };
    return this.#happens(isThere, { withinMs: LATE_MS, what: "all was told" });
  }

  /** Rejects when the stream ends, or nothing that matches comes in time. */
  async until(matches: Matches, what: string): Promise<void> {
    const isThere = () => this.#own.some(matches);
    if (await this.#happens(isThere, { withinMs: ANSWER_WAIT_MS, what })) return;
    throw new Error(`waited ${ANSWER_WAIT_MS} ms in vain for ${what}`);
  }

  /** Whether something comes that makes it so, in time. Rejects when the stream ends before. */
  async #happens(
    isSo: () => boolean,
    { withinMs, what }: { readonly withinMs: number; readonly what: string },
  ): Promise<boolean> {
    if (isSo()) return true;
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<boolean>((resolve, reject) => {
        timer = setTimeout(() => resolve(false), withinMs);
        this.#onCome = (error) => {
          if (error !== undefined) reject(new Error(`the stream ended before ${what}`, { cause: error }));
          else if (isSo()) resolve(true);
        };
      });
    } finally {
      clearTimeout(timer);
      this.#onCome = () => {};
    }
  }
}
