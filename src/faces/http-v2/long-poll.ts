/** A wait for one event. Thousands may wait, so that it is no more than this object beside what node:http holds. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../../base/clock.ts";
import type { FirstEventListener, TreeEvent, TreeWatch } from "../../domain/tree/model.ts";
import type { Exchange, HeldAnswer } from "../face.ts";
import { beginWait, type V2AnswerOptions } from "./v2-answer.ts";
import { eventJson, showsTimes } from "./v2-json.ts";

export interface LongPollOptions extends V2AnswerOptions {
  readonly exchange: Exchange;
}

export class LongPoll implements FirstEventListener, HeldAnswer {
  readonly #response: ServerResponse;
  readonly #watch: TreeWatch;
  readonly #clock: Clock;
  #isTold = false;

  /** `watch` must have `tellFirst`; the poll closes it. */
  constructor({ exchange, clock }: LongPollOptions, watch: TreeWatch) {
    this.#response = exchange.response;
    this.#watch = watch;
    this.#clock = clock;
  }

  /** Answers the headers, and the event when it comes. */
  static begin(options: LongPollOptions, watch: TreeWatch): void {
    const poll = new LongPoll(options, watch);
    const { exchange } = options;
    readToEnd(exchange.request);
    exchange.hold(poll);
    if (poll.#response.destroyed) return;
    beginWait(poll.#response, watch.index, options);
    watch.tellFirst?.(poll);
  }

  onEvent(event: TreeEvent): void {
    if (!this.#isOver) tell(this.#response, newsOf(event, this.#clock));
    this.#isTold = true;
  }

  onTold(): void {
    this.#response.end();
    this.#watch.close();
  }

  onEnd(): void {
    this.onGone();
  }

  onGone(): void {
    // Cut, not ended: an empty 200 is fatal to a node that boots, a broken connection makes it ask again.
    if (!this.#isOver) this.#response.destroy();
    this.#watch.close();
  }

  get #isOver(): boolean {
    return this.#isTold || this.#response.destroyed;
  }
}

/** A body that nobody reads stops the reading of the connection, and with it the news that the client has gone. */
export function readToEnd(request: IncomingMessage): void {
  if (!request.complete || request.readableLength > 0) request.resume();
}

/** What ten thousand are told of one event is put together once. */
let latest: { readonly event: TreeEvent; readonly news: News } | undefined;

interface News {
  readonly json: string;
  /** All of a chunked body. */
  readonly chunked: Buffer;
}

function newsOf(event: TreeEvent, clock: Clock): News {
  if (latest?.event === event) return latest.news;
  const json = eventJson(event, event.at ?? clock.now());
  const chunked = Buffer.from(`${Buffer.byteLength(json).toString(16)}\r\n${json}\r\n0\r\n\r\n`);
  const news = { json, chunked };
  // Times to live run.
  latest = showsTimes(json) ? undefined : { event, news };
  return news;
}

/**
 * Sends the rest of an answer whose headers have been sent; all that is left then is to end it. Node would send a chunk
 * in five parts; framed already, it is one, and goes straight to the socket, where nothing of the answer waits before it.
 */
function tell(response: ServerResponse, { json, chunked }: News): void {
  if (!response.chunkedEncoding) {
    response.end(json);
    return;
  }
  response.chunkedEncoding = false;
  const { socket } = response;
  if (socket !== null && socket.writableLength === response.writableLength) socket.write(chunked);
  else response.write(chunked);
}
