/** One v2 request from reading to answering, on any TreeStore: each mount calls this after its own routing. */
import { once } from "node:events";
import { isMusterError } from "../../base/errors.ts";
import type { TreeEvent, TreePath, TreeStore, TreeWatch } from "../../domain/tree/model.ts";
import type { Exchange } from "../face.ts";
import { LongPoll, readToEnd } from "./long-poll.ts";
import {
  answerError,
  answerEvent,
  answerMethodNotAllowed,
  answerReading,
  beginWait,
  type V2AnswerOptions,
} from "./v2-answer.ts";
import { eventJson } from "./v2-json.ts";
import { readPlainGet, readV2Request, type V2Request } from "./v2-request.ts";

export interface V2Exchange extends V2AnswerOptions {
  readonly exchange: Exchange;
  readonly store: TreeStore;
  /** The node asked for: decoded, cleaned, with the mount's prefix put before it where it has one. */
  readonly path: TreePath;
}

const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "PUT", "POST", "DELETE"]);

/**
 * Does what a request asks of `store` at `path` (get, wait, stream, set, create, update, compare, post, delete) and
 * writes the answer, errors included. A method that v2 has not gets 405. Resolves when the answer has been written
 * or the client has gone. What is a defect (`internal`, or no MusterError) is thrown, for the server to log and answer.
 */
export async function answerV2(options: V2Exchange): Promise<void> {
  const { exchange, path, clock } = options;
  if (!METHODS.has(exchange.request.method ?? "")) return answerMethodNotAllowed(exchange.response);
  try {
    const reading = readPlainGet(exchange, path) ?? readV2Request(exchange, path, { clock });
    // What can be had at once is: an await takes longer than to read a request, or to write a short answer.
    const request = reading instanceof Promise ? await reading : reading;
    if (request.kind === "write") answerEvent(exchange.response, await options.store.write(request.command), options);
    else await (request.kind === "get" ? answerGet(options, request) : answerWait(options, request));
  } catch (error) {
    if (exchange.response.headersSent || !isMusterError(error) || error.code === "internal") throw error;
    answerError(exchange.response, error, options);
  }
}

async function answerGet(options: V2Exchange, request: Extract<V2Request, { kind: "get" }>): Promise<void> {
  const { recursive, sorted } = request;
  const { response } = options.exchange;
  const isAbandoned = () => response.destroyed;
  const reading = await options.store.get(request.path, { recursive, sorted, isAbandoned });
  const writing = answerReading(response, reading, options);
  if (writing !== undefined) await writing;
}

async function answerWait(options: V2Exchange, request: Extract<V2Request, { kind: "wait" }>): Promise<void> {
  const { exchange, store } = options;
  const { path, recursive, waitIndex } = request;
  const watch = await store.watch({ path, recursive, waitIndex });
  if (!request.stream && watch.tellFirst !== undefined) {
    LongPoll.begin(options, watch);
    return;
  }
  const close = () => watch.close();
  exchange.signal.addEventListener("abort", close, { once: true });
  readToEnd(exchange.request);
  try {
    if (exchange.signal.aborted) close();
    beginWait(exchange.response, watch.index, options);
    await (request.stream ? streamEvents(options, watch) : answerFirst(options, watch));
  } finally {
    exchange.signal.removeEventListener("abort", close);
    close();
    // A wait that ends without an event is cut, not ended: an empty 200 is fatal to a node that boots, a broken
    // connection makes it ask again.
    if (!exchange.response.writableEnded) exchange.response.destroy();
  }
}

async function answerFirst({ exchange, clock }: V2Exchange, watch: TreeWatch): Promise<void> {
  for await (const event of watch) {
    exchange.response.end(eventJson(event, event.at ?? clock.now()));
    return;
  }
}

async function streamEvents(options: V2Exchange, watch: TreeWatch): Promise<void> {
  for await (const event of watch) {
    await sendEvent(options, event);
    // etcd 2.3.8 answers a stream that begins in the past with that one event and then stays silent.
    if (event.index <= watch.index) return untilAborted(options.exchange.signal);
  }
}

async function sendEvent({ exchange, clock }: V2Exchange, event: TreeEvent): Promise<void> {
  const { response, signal } = exchange;
  if (response.write(eventJson(event, event.at ?? clock.now())) || signal.aborted) return;
  // The signal tells that the client has gone as well: a second listener would stay behind after each event.
  await once(response, "drain", { signal });
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}
