/** The calls to an etcd of several members: which of them is asked, how often, for how long, and what its failures mean. */
import { setTimeout as sleep } from "node:timers/promises";
import { utf8 } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { MusterError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { STORE_ATTEMPT_MS, STORE_LEAST_CALL_MS, STORE_RETRY_MS } from "../../base/store-limits.ts";
import type { StoreEndpoint } from "../engine.ts";
import { type CallContext, EtcdEndpoint } from "./etcd-endpoint.ts";
import { answered, type Failure, failureOf, NotSent, outcomeUnknown, unavailable } from "./etcd-errors.ts";
import { longCall } from "./etcd-long-call.ts";
import { type EtcdMethod, RANGE, TXN } from "./etcd-methods.ts";
import type { EtcdStoreOptions } from "./etcd-options.ts";
import { EtcdRangeLine, type Turn } from "./etcd-range-line.ts";
import { wireRange } from "./etcd-requests.ts";
import { type CallKind, EtcdServiceLog } from "./etcd-service-log.ts";
import { EtcdSpace, OFFSET_KEY } from "./etcd-space.ts";
import type { Spread } from "./etcd-spread.ts";
import { EtcdToken } from "./etcd-token.ts";
import { EtcdTrouble } from "./etcd-trouble.ts";

/** How often a call asks for a new token before it gives up: the first may have been given by a member that is behind. */
const TOKEN_ATTEMPTS = 3;

/** Calls that every user of Muster's has to be let make. */
const OF_KEYS = [RANGE.path, TXN.path];

type Send<Response> = (endpoint: EtcdEndpoint, context: CallContext) => Promise<Response>;

function unary<Request, Response>(method: EtcdMethod<Request, Response>, request: Request): Send<Response> {
  return (endpoint, context) => endpoint.unary(method, request, context);
}

/** What a call may take from when it was made, and whether it may be repeated after an unknown outcome. */
interface Attempts {
  readonly end: number;
  readonly repeats: boolean;
  /** Whether one attempt may take all of the time. */
  readonly isPatient: boolean;
  readonly kind: CallKind;
}

/**
 * The connections to the members of an etcd, of which one is in use: the next one is when it fails. Every call ends
 * within STORE_DEADLINE_MS. What failed without having been done is tried again until then.
 */
export class EtcdChannel {
  readonly #endpoints: readonly EtcdEndpoint[];
  readonly #token: EtcdToken;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #service: EtcdServiceLog;
  readonly #trouble: EtcdTrouble;
  readonly #line: EtcdRangeLine;
  /** Something small that needs a quorum. */
  readonly #question: ReturnType<typeof wireRange>;
  #current = 0;
  #closed = false;

  constructor(options: EtcdStoreOptions) {
    this.#endpoints = options.endpoints.map((name) => new EtcdEndpoint(name, options.tls));
    this.#token = new EtcdToken(options.user);
    this.#clock = options.clock;
    this.#log = options.log;
    this.#service = new EtcdServiceLog(options);
    this.#trouble = new EtcdTrouble(options.clock);
    this.#line = new EtcdRangeLine(options.clock);
    const space = new EtcdSpace(utf8(options.prefix), undefined);
    this.#question = wireRange(space, { key: OFFSET_KEY, countOnly: true });
  }

  /**
   * A call that changes nothing, or as often as you like: it is repeated until it is answered. `spread`: given, where it
   * may go over many keys; then it may have to wait in line, and takes as long as etcd needs, within the deadline.
   */
  read<Request, Response>(
    method: EtcdMethod<Request, Response>,
    request: Request,
    spread?: Spread<Response>,
  ): Promise<Response> {
    const send = unary(method, request);
    if (spread === undefined) {
      return this.#call(this.#attempts(method, "read"), send);
    }
    return this.#inLine(spread, this.#attempts(method, "read"), (attempts, { isShort, late }) =>
      isShort ? this.#call(attempts, send) : this.#call({ ...attempts, isPatient: true }, this.#long(send, late)),
    );
  }

  /** As `read`, over a stream that is left after its first answer. */
  readFirst<Request, Response>(method: EtcdMethod<Request, Response>, request: Request): Promise<Response> {
    return this.#call(this.#attempts(method, "read"), (endpoint, context) => endpoint.first(method, request, context));
  }

  /** A call that must not be done twice. Error: `outcomeUnknown`, where it was sent and not answered, or by an etcd that is full. */
  write<Request, Response>(
    method: EtcdMethod<Request, Response>,
    request: Request,
    spread?: Spread<Response>,
  ): Promise<Response> {
    const send = unary(method, request);
    return spread === undefined
      ? this.#call(this.#attempts(method, "write"), send)
      : this.#inLine(spread, this.#attempts(method, "write"), (attempts) => this.#call(attempts, send));
  }

  /** Asks just this endpoint, once. Rejects with what went wrong. */
  async ask<Request, Response>(
    endpoint: EtcdEndpoint,
    method: EtcdMethod<Request, Response>,
    request: Request,
  ): Promise<Response> {
    await endpoint.whenConnected(STORE_ATTEMPT_MS);
    const token = await this.#token.of(endpoint, STORE_ATTEMPT_MS);
    return endpoint.unary(method, request, { token, timeoutMs: STORE_ATTEMPT_MS });
  }

  /** The endpoint in use, connected, with a token for a stream. Rejects with what went wrong; then it is the next one's turn. */
  async forStream(): Promise<{ readonly endpoint: EtcdEndpoint; readonly token: string | undefined }> {
    const endpoint = this.#inUse();
    try {
      await endpoint.whenConnected(STORE_ATTEMPT_MS);
      return { endpoint, token: await this.#token.of(endpoint, STORE_ATTEMPT_MS) };
    } catch (error) {
      this.failed(endpoint, failureOf(error).error);
      throw error;
    }
  }

  /** How many endpoints there are. */
  get size(): number {
    return this.#endpoints.length;
  }

  list(): readonly StoreEndpoint[] {
    return this.#endpoints.map((endpoint, place) => {
      const problem = endpoint.look();
      return { name: endpoint.name, inUse: place === this.#current, ...(problem === undefined ? {} : { problem }) };
    });
  }

  /** Says that the endpoint did not serve: if it is the one in use, it is the next one's turn. */
  failed(endpoint: EtcdEndpoint, error: MusterError): void {
    endpoint.failed(error.message);
    if (this.#closed || this.#inUse() !== endpoint) {
      return;
    }
    this.#current = (this.#current + 1) % this.#endpoints.length;
    this.#log.debug(
      { endpoint: endpoint.name, next: this.#inUse().name, err: error },
      "turned to the next endpoint of etcd",
    );
  }

  /** Says that the token was refused. */
  renewToken(token: string | undefined): void {
    this.#token.renew(token);
  }

  close(): void {
    this.#closed = true;
    for (const endpoint of this.#endpoints) {
      endpoint.close();
    }
  }

  /** Of a call that begins now. A write may always take all of its time: nobody else is to be asked. */
  #attempts(method: { readonly path: string }, kind: "read" | "write"): Attempts {
    const end = this.#clock.monotonic() + this.#trouble.deadlineMs();
    const repeats = kind === "read";
    return { end, repeats, isPatient: !repeats, kind: OF_KEYS.includes(method.path) ? kind : "other" };
  }

  #inLine<Response>(
    spread: Spread<Response>,
    attempts: Attempts,
    call: (attempts: Attempts, turn: Turn) => Promise<Response>,
  ): Promise<Response> {
    const terms = { timeMs: this.#left(attempts), isWrite: !attempts.repeats };
    return this.#line.pass(spread, terms, (turn) => call(attempts, turn));
  }

  #long<Response>(send: Send<Response>, onLate: () => void): Send<Response> {
    return (endpoint, context) =>
      longCall({
        send: (signal) => send(endpoint, { ...context, signal }),
        ask: () => this.ask(endpoint, RANGE, this.#question),
        hasOthers: this.size > 1,
        onLate,
      });
  }

  async #call<Response>(attempts: Attempts, send: Send<Response>): Promise<Response> {
    let reason: Failure | undefined;
    for (let attempt = 1, renewals = 0; ; attempt++) {
      const outcome = await this.#try(attempts, send);
      if ("response" in outcome) {
        return outcome.response;
      }
      const { failure } = outcome;
      // That the time was over says less than what took it.
      reason = reason !== undefined && failure.error.cause instanceof NotSent ? reason : failure;
      const isLast = this.#left(attempts) < STORE_LEAST_CALL_MS;
      if (failure.kind === "answer") {
        if (failure.complaint !== undefined) {
          this.#service.refused(failure.complaint, attempts.kind, failure.error.message);
        }
        throw answered(failure, { isWrite: !attempts.repeats });
      }
      if (failure.kind === "unknown" && !attempts.repeats) {
        throw outcomeUnknown(failure.error);
      }
      if (this.#closed) {
        throw new MusterError("closed", "Open the engine again: it was closed", { cause: failure.error });
      }
      if (isLast || (failure.kind === "token" && ++renewals === TOKEN_ATTEMPTS)) {
        throw this.#givenUp(reason);
      }
      if (failure.kind !== "token" && attempt % this.#endpoints.length === 0) {
        await sleep(Math.min(STORE_RETRY_MS, this.#left(attempts)));
      }
    }
  }

  async #try<Response>(
    attempts: Attempts,
    send: Send<Response>,
  ): Promise<{ readonly response: Response } | { readonly failure: Failure }> {
    const endpoint = this.#inUse();
    let token: string | undefined;
    let isSent = false;
    try {
      await endpoint.whenConnected(this.#left(attempts));
      this.#mustGoOn(attempts, endpoint);
      token = await this.#token.of(endpoint, this.#patience(attempts));
      this.#mustGoOn(attempts, endpoint);
      const timeoutMs = attempts.isPatient ? this.#left(attempts) : this.#patience(attempts);
      isSent = true;
      const response = await send(endpoint, { token, timeoutMs });
      this.#answered(endpoint, attempts.kind);
      return { response };
    } catch (error) {
      const failure = failureOf(error);
      if (failure.kind === "token") {
        this.#token.renew(token);
      } else if (failure.kind !== "answer") {
        this.failed(endpoint, failure.error);
        this.#trouble.failed();
      }
      return { failure: failure.kind === "unknown" && !isSent ? { ...failure, kind: "refused" } : failure };
    }
  }

  #answered(endpoint: EtcdEndpoint, kind: CallKind): void {
    endpoint.worked();
    this.#trouble.over();
    this.#service.answered(endpoint.name, kind);
  }

  #inUse(): EtcdEndpoint {
    const endpoint = this.#endpoints[this.#current];
    if (endpoint === undefined) {
      throw unavailable("Name an endpoint of etcd: there is none");
    }
    return endpoint;
  }

  #left({ end }: Attempts): number {
    return end - this.#clock.monotonic();
  }

  /** Whatever is asked with too little time left says only that the time was over: a token, too. */
  #mustGoOn(attempts: Attempts, { name }: EtcdEndpoint): void {
    // A channel of grpc-js may take calls for a moment after it was closed.
    if (this.#closed) {
      throw new NotSent(`${name} is not to be used any more`);
    }
    if (this.#left(attempts) < STORE_LEAST_CALL_MS) {
      throw new NotSent(`${name} took too long to connect`);
    }
  }

  /** For one endpoint. */
  #patience(attempts: Attempts): number {
    return Math.min(this.#left(attempts), STORE_ATTEMPT_MS);
  }

  #givenUp({ error }: Failure): MusterError {
    const names = this.#endpoints.map(({ name }) => name).join(", ");
    this.#service.failed(error.message);
    return unavailable(`Look after etcd (${names}): it does not serve (${error.message})`, error);
  }
}
