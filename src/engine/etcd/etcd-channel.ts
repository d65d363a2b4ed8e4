import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../../base/clock.ts";
import { MusterError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import {
  STORE_ATTEMPT_MS,
  STORE_DEADLINE_MS,
  STORE_LEAST_CALL_MS,
  STORE_RETRY_MS,
  STORE_TROUBLED_DEADLINE_MS,
} from "../../base/store-limits.ts";
import type { StoreEndpoint } from "../engine.ts";
import { type CallContext, EtcdEndpoint } from "./etcd-endpoint.ts";
import { type Failure, failureOf, NotSent, outcomeUnknown, unavailable } from "./etcd-errors.ts";
import type { EtcdMethod } from "./etcd-methods.ts";
import type { EtcdStoreOptions } from "./etcd-options.ts";
import { EtcdToken } from "./etcd-token.ts";

/** How often a call asks for a new token before it gives up: the first may have been given by a member that is behind. */
const TOKEN_ATTEMPTS = 3;

type Send<Response> = (endpoint: EtcdEndpoint, context: CallContext) => Promise<Response>;

/** What a call may take from when it was made, and whether it may be repeated after an unknown outcome. */
interface Attempts {
  readonly end: number;
  readonly repeats: boolean;
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
  #current = 0;
  /** When attempts began to fail, none having succeeded since, and when the last one did. */
  #trouble: { readonly since: number; readonly last: number } | undefined;
  /** The endpoint that answered last, and whether it was told that none did. */
  #served: EtcdEndpoint | undefined;
  #isReported = false;
  #closed = false;

  constructor(options: EtcdStoreOptions) {
    this.#endpoints = options.endpoints.map((name) => new EtcdEndpoint(name, options.tls));
    this.#token = new EtcdToken(options.user);
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** A call that changes nothing, or as often as you like: it is repeated until it is answered. */
  read<Request, Response>(method: EtcdMethod<Request, Response>, request: Request): Promise<Response> {
    return this.#call({ repeats: true }, (endpoint, context) => endpoint.unary(method, request, context));
  }

  /** As `read`, over a stream that is left after its first answer. */
  readFirst<Request, Response>(method: EtcdMethod<Request, Response>, request: Request): Promise<Response> {
    return this.#call({ repeats: true }, (endpoint, context) => endpoint.first(method, request, context));
  }

  /** A call that must not be done twice. Error: `outcomeUnknown`, where it was sent and not answered. */
  write<Request, Response>(method: EtcdMethod<Request, Response>, request: Request): Promise<Response> {
    return this.#call({ repeats: false }, (endpoint, context) => endpoint.unary(method, request, context));
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

  async #call<Response>({ repeats }: Pick<Attempts, "repeats">, send: Send<Response>): Promise<Response> {
    const attempts = { end: this.#clock.monotonic() + this.#deadlineMs(), repeats };
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
        throw failure.error;
      }
      if (failure.kind === "unknown" && !repeats) {
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
      token = await this.#token.of(endpoint, this.#patience(attempts));
      const timeoutMs = attempts.repeats ? this.#patience(attempts) : this.#left(attempts);
      if (timeoutMs < STORE_LEAST_CALL_MS) {
        throw new NotSent(`${endpoint.name} took too long to connect`);
      }
      isSent = true;
      const response = await send(endpoint, { token, timeoutMs });
      this.#answered(endpoint);
      return { response };
    } catch (error) {
      const failure = failureOf(error);
      if (failure.kind === "token") {
        this.#token.renew(token);
      } else if (failure.kind !== "answer") {
        this.failed(endpoint, failure.error);
        const now = this.#clock.monotonic();
        this.#trouble = { since: this.#trouble?.since ?? now, last: now };
      }
      return { failure: failure.kind === "unknown" && !isSent ? { ...failure, kind: "refused" } : failure };
    }
  }

  /**
   * How long a call may take. A request of a client's may need several calls: those that begin in the middle of trouble
   * get what is left of the first one's time, or little.
   */
  #deadlineMs(): number {
    const now = this.#clock.monotonic();
    if (this.#trouble !== undefined && now - this.#trouble.last > STORE_DEADLINE_MS) {
      // Nobody has tried for so long that nothing is known.
      this.#trouble = undefined;
    }
    const spentMs = this.#trouble === undefined ? 0 : now - this.#trouble.since;
    return Math.max(STORE_DEADLINE_MS - spentMs, STORE_TROUBLED_DEADLINE_MS);
  }

  #answered(endpoint: EtcdEndpoint): void {
    endpoint.worked();
    this.#trouble = undefined;
    if (this.#served === endpoint && !this.#isReported) {
      return;
    }
    if (this.#isReported) {
      this.#log.info({ endpoint: endpoint.name }, "etcd serves again");
    } else if (this.#served !== undefined) {
      this.#log.info({ endpoint: endpoint.name, before: this.#served.name }, "another endpoint of etcd is in use");
    }
    this.#served = endpoint;
    this.#isReported = false;
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

  /** For one endpoint. */
  #patience(attempts: Attempts): number {
    return Math.min(this.#left(attempts), STORE_ATTEMPT_MS);
  }

  #givenUp({ error }: Failure): MusterError {
    const names = this.#endpoints.map(({ name }) => name).join(", ");
    if (!this.#isReported && this.#served !== undefined) {
      this.#isReported = true;
      this.#log.warn({ endpoints: names, reason: error.message }, "etcd does not serve");
    }
    return unavailable(`Look after etcd (${names}): it does not serve (${error.message})`, error);
  }
}
