/** Plays the watches of a program on one server, so that what they are told does not depend on who is quick. */
import type { ClientDuplexStream } from "@grpc/grpc-js";
import { z } from "zod";
import type { JsonObject } from "../conformance/json.ts";
import type { V3Client } from "../support/v3-client.ts";
import { plainMessage } from "./v3-plain.ts";
import { WATCH } from "./v3-steps.ts";
import { FENCE_KEY, readWatchResponse, type Told, type WatchResponse, watchesOf } from "./v3-watch-told.ts";

/** What is put to see when its event comes; it is not compared, as it may come late. */
const FENCE = { key: Buffer.from(FENCE_KEY) };
/** Stands as long as its stream: what is told before one of its events was under way before that. */
const FENCE_ID = 999;
/** Made and canceled again: whatever was asked before it has been done by then. */
const BARRIER_ID = 998;
const ANSWER_WAIT_MS = 30_000;

/** A request of a program, for a stream. */
const askedSchema = z.object({
  stream: z.number(),
  end: z.boolean().optional(),
  half_close: z.boolean().optional(),
  create_request: z.looseObject({}).optional(),
  cancel_request: z.looseObject({}).optional(),
  progress_request: z.looseObject({}).optional(),
});

export class V3WatchPlayer {
  readonly #client: V3Client;
  readonly #start: number;
  readonly #open = new Map<number, Stream>();
  /** All that were ever open, by names that are the same on every server. */
  readonly #all = new Map<string, Stream>();
  /** Of the last put of the fence. */
  #fenced = 0;

  constructor(client: V3Client, start: number) {
    this.#client = client;
    this.#start = start;
  }

  /** Does what a step asks of a stream; resolves when that is done, and all has come that was under way before. */
  async play(request: object): Promise<null> {
    const { stream: number, end, half_close, ...asked } = askedSchema.parse(request);
    const stream = await this.#stream(number);
    if (stream.isHalfClosed && end !== true) return null;
    await this.settle();
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

  /** What every watch was told, when all is. */
  async finish(): Promise<JsonObject> {
    await this.settle();
    const context = { step: { call: WATCH, request: {} }, start: this.#start };
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
    const stream = new Stream(this.#client.duplex(WATCH));
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

  constructor(stream: ClientDuplexStream<object, object>) {
    this.#stream = stream;
    stream.on("data", (data: unknown) => {
      const response = readWatchResponse(data);
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

  /** Rejects when the stream ends, or nothing that matches comes in time. */
  async until(matches: Matches, what: string): Promise<void> {
    if (this.#own.some(matches)) return;
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`waited ${ANSWER_WAIT_MS} ms in vain for ${what}`)), ANSWER_WAIT_MS);
        this.#onCome = (error) => {
          if (error !== undefined) reject(new Error(`the stream ended before ${what}`, { cause: error }));
          else if (this.#own.some(matches)) resolve();
        };
      });
    } finally {
      clearTimeout(timer);
      this.#onCome = () => {};
    }
  }
}
