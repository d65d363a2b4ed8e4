/** Lets many watch one key by gRPC, and measures how soon and how often they are told of puts to it. */

import { FrameReader } from "../../src/grpc/frame-reader.ts";
import { KVDefinition, WatchDefinition, WatchRequest } from "../../src/proto/etcdserverpb.ts";
import { GrpcConnection, requestOf } from "./grpc-connection.ts";
import { UnaryAnswer } from "./grpc-load.ts";
import { putRequest } from "./grpc-requests.ts";
import type { TellJob, TellResult, WatchJob } from "./jobs.ts";

const MOST_MESSAGE_BYTES = 2 ** 24;

/** How many puts are under way while events are counted. */
const WRITERS = 8;

const WATCH_PATH = `/${WatchDefinition.fullName}/${WatchDefinition.methods.watch.name}`;
const PUT_PATH = `/${KVDefinition.fullName}/${KVDefinition.methods.put.name}`;

export class GrpcWatchers {
  readonly #job: WatchJob;
  readonly #connections: GrpcConnection[] = [];
  readonly #failed: Promise<never>;
  #fail: (error: Error) => void = () => undefined;
  #created = 0;
  #events = 0;
  /** Called when so many were created, or so many events came. */
  #onCount: (() => void) | undefined;

  private constructor(job: WatchJob) {
    this.#job = job;
    this.#failed = new Promise<never>((_resolve, reject) => {
      this.#fail = reject;
    });
    // It may come when nobody listens.
    this.#failed.catch(() => undefined);
  }

  /** Resolves when the server has said of every watch that it stands. */
  static async stand(job: WatchJob): Promise<GrpcWatchers> {
    const watchers = new GrpcWatchers(job);
    try {
      await Promise.race([watchers.#begin(), watchers.#failed]);
      return watchers;
    } catch (error) {
      watchers.close();
      throw error;
    }
  }

  /** Puts the key so many times; resolves when every watcher has been told of every put. */
  async tell({ puts, oneByOne }: TellJob): Promise<TellResult> {
    const writer = await GrpcConnection.open(this.#job.url, PUT_PATH, (error) => this.#fail(error));
    this.#events = 0;
    const cpuBefore = process.cpuUsage();
    const begun = performance.now();
    const told: number[] = [];
    const answered: number[] = [];
    try {
      const work = oneByOne ? this.#oneByOne(writer, puts, { told, answered }) : this.#atOnce(writer, puts);
      await Promise.race([work, this.#failed]);
      const elapsedMs = performance.now() - begun;
      const { user, system } = process.cpuUsage(cpuBefore);
      return { elapsedMs, cpuMs: (user + system) / 1000, events: this.#events, told, answered };
    } finally {
      writer.close();
    }
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }

  async #begin(): Promise<void> {
    const { url, connections, watchersEach, key } = this.#job;
    const requestUnion = { $case: "createRequest", value: { key: Buffer.from(key) } } as const;
    const request = WatchRequest.encode(WatchRequest.fromPartial({ requestUnion })).finish();
    for (let opened = 0; opened < connections; opened++) {
      const connection = await GrpcConnection.open(url, WATCH_PATH, (error) => this.#fail(error));
      this.#connections.push(connection);
      const frames = new FrameReader({ maxMessageBytes: MOST_MESSAGE_BYTES });
      const stream = connection.call(requestOf(request), {
        // The reader may keep what it is given.
        onData: (bytes) => this.#take(frames, Buffer.from(bytes)),
        onEnd: () => this.#fail(new Error(`${url} ended a stream of watches`)),
      });
      for (let watcher = 1; watcher < watchersEach; watcher++) connection.send(stream, request);
    }
    const all = connections * watchersEach;
    await this.#until(() => this.#created === all);
  }

  async #oneByOne(
    writer: GrpcConnection,
    puts: number,
    { told, answered }: { readonly told: number[]; readonly answered: number[] },
  ): Promise<void> {
    const watchers = this.#job.connections * this.#job.watchersEach;
    for (let put = 1; put <= puts; put++) {
      const begun = performance.now();
      const written = this.#put(writer).then(() => answered.push(performance.now() - begun));
      await this.#until(() => this.#events === put * watchers);
      told.push(performance.now() - begun);
      await written;
    }
  }

  async #atOnce(writer: GrpcConnection, puts: number): Promise<void> {
    let begun = 0;
    const write = async () => {
      while (begun++ < puts) await this.#put(writer);
    };
    await Promise.all(Array.from({ length: WRITERS }, write));
    const all = puts * this.#job.connections * this.#job.watchersEach;
    await this.#until(() => this.#events === all);
  }

  #put(writer: GrpcConnection): Promise<void> {
    return new Promise((resolve, reject) => {
      const onFailure = () => reject(new Error(`${this.#job.url} answered a put with an error`));
      writer.callOnce(
        putRequest(this.#job.key, this.#job.valueBytes),
        new UnaryAnswer({ onAnswer: resolve, onFailure }),
      );
    });
  }

  #until(isReached: () => boolean): Promise<void> {
    if (isReached()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onCount = () => {
        if (!isReached()) return;
        this.#onCount = undefined;
        resolve();
      };
    });
  }

  #take(frames: FrameReader, bytes: Buffer): void {
    frames.push(bytes);
    for (let message = frames.next(); message !== undefined; message = frames.next()) {
      const { created, canceled, events } = readResponse(message);
      if (canceled) this.#fail(new Error(`${this.#job.url} cancelled a watch`));
      if (created) this.#created++;
      this.#events += events;
    }
    this.#onCount?.();
  }
}

/** Tags of WatchResponse's fields, and protobuf's kinds of them. */
const CREATED = 0x18;
const CANCELED = 0x20;
const EVENT = 0x5a;
const KIND = 0x7;
const VARINT = 0;
const LENGTH_DELIMITED = 2;

/** How many events a WatchResponse has: decoding them would cost the client as much as it costs a server to send them. */
function readResponse(message: Buffer): {
  readonly created: boolean;
  readonly canceled: boolean;
  readonly events: number;
} {
  const found = { created: false, canceled: false, events: 0 };
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = message[at++] ?? 0;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const kind = tag & KIND;
    if (kind !== VARINT && kind !== LENGTH_DELIMITED) throw new Error(`read what a WatchResponse has: tag ${tag}`);
    const value = varint();
    if (kind === LENGTH_DELIMITED) at += value;
    if (tag === CREATED) found.created = value === 1;
    else if (tag === CANCELED) found.canceled = value === 1;
    else if (tag === EVENT) found.events++;
  }
  return found;
}
