/** A client of the v3 API that tells what is known of each request's outcome. */
import { type ServiceError, status } from "@grpc/grpc-js";
import {
  Compare,
  KVDefinition,
  PutRequest,
  RangeRequest,
  type RangeResponse,
  TxnRequest,
  WatchDefinition,
  WatchRequest,
} from "../../src/proto/etcdserverpb.ts";
import { GrpcClient } from "../support/grpc-client.ts";
import type { Change, Found } from "./history.ts";
import type { Written } from "./recorder.ts";
import { CLIENT_TIMEOUT_MS, type Target } from "./target.ts";
import type { OnOddity } from "./v2-client.ts";

/** A lost connection is made again soon, and one that nothing comes on any more is given up. */
const CHANNEL = {
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 500,
  "grpc.keepalive_time_ms": 2000,
  "grpc.keepalive_timeout_ms": 3000,
  "grpc.use_local_subchannel_pool": 1,
} as const;

const KV = KVDefinition.fullName;

/** What is said of a write that the store has not taken: by Muster, and by grpc-js of one that it could not send. */
const NOT_APPLIED = /^(Look after etcd|No connection established)/;

const UNAVAILABLE: ReadonlySet<number> = new Set([status.UNAVAILABLE, status.DEADLINE_EXCEEDED, status.CANCELLED]);

export function bytes(text: string): Uint8Array {
  return Buffer.from(text);
}

export function textOf(value: Uint8Array): string {
  return Buffer.from(value).toString();
}

export function prefixEndOf(prefix: string): Uint8Array {
  const end = Buffer.from(prefix);
  end[end.length - 1] = (end.at(-1) ?? 0) + 1;
  return end;
}

export class V3Client implements Disposable {
  readonly #channels = new Map<string, GrpcClient>();
  readonly #onOddity: OnOddity;

  constructor(onOddity: OnOddity) {
    this.#onOddity = onOddity;
  }

  async put(target: Target, { key, value }: { readonly key: string; readonly value: string }): Promise<Written> {
    const method = KVDefinition.methods.put;
    const request = PutRequest.fromPartial({ key: bytes(key), value: bytes(value) });
    return this.#written(target, async (channel) => {
      const { header } = await channel.unary({ service: KV, method, options: deadline() }, request);
      return { outcome: { kind: "done", revision: header?.revision ?? 0 } };
    });
  }

  /** Puts where the key has a modRevision (0: is not there). */
  async swap(
    target: Target,
    { key, value, replaces }: { readonly key: string; readonly value: string; readonly replaces: number },
  ): Promise<Written> {
    const method = KVDefinition.methods.txn;
    const request = TxnRequest.fromPartial({
      compare: [
        Compare.fromPartial({ key: bytes(key), target: 2, targetUnion: { $case: "modRevision", value: replaces } }),
      ],
      success: [
        { request: { $case: "requestPut", value: PutRequest.fromPartial({ key: bytes(key), value: bytes(value) }) } },
      ],
    });
    return this.#written(target, async (channel) => {
      const { header, succeeded } = await channel.unary({ service: KV, method, options: deadline() }, request);
      if (!succeeded) return { outcome: { kind: "refused", why: "the compare failed" } };
      return { outcome: { kind: "done", revision: header?.revision ?? 0 } };
    });
  }

  async get(target: Target, key: string): Promise<Found | undefined> {
    const answer = await this.range(target, { key });
    if (answer === undefined) return undefined;
    const [kv] = answer.kvs;
    const storeRevision = answer.header?.revision ?? 0;
    return { storeRevision, modRevision: kv?.modRevision ?? 0, value: textOf(kv?.value ?? new Uint8Array()) };
  }

  /** A key, or all below a prefix; undefined where nobody says. */
  async range(
    target: Target,
    { key, prefix = false }: { readonly key: string; readonly prefix?: boolean },
  ): Promise<RangeResponse | undefined> {
    const method = KVDefinition.methods.range;
    const request = RangeRequest.fromPartial({ key: bytes(key), ...(prefix ? { rangeEnd: prefixEndOf(key) } : {}) });
    try {
      return await this.#channel(target).unary({ service: KV, method, options: deadline() }, request);
    } catch (error) {
      this.#errorOf(error, target);
      return undefined;
    }
  }

  /**
   * Tells the changes below a prefix from a revision on, until the connection is lost or `signal` fires. Rejects when the
   * server ends the watch.
   */
  async watch(
    target: Target,
    { prefix, from, signal }: { readonly prefix: string; readonly from: number; readonly signal: AbortSignal },
    onChange: (change: Change) => void,
  ): Promise<void> {
    const { fullName: service, methods } = WatchDefinition;
    const stream = this.#channel(target).stream({ service, method: methods.watch });
    const stop = (): void => stream.cancel();
    signal.addEventListener("abort", stop, { once: true });
    try {
      stream.write(
        WatchRequest.fromPartial({
          requestUnion: {
            $case: "createRequest",
            value: { key: bytes(prefix), rangeEnd: prefixEndOf(prefix), startRevision: from },
          },
        }),
      );
      for await (const response of stream) {
        if (response.canceled) {
          throw new Error(`the watch was ended: ${response.cancelReason}, compacted at ${response.compactRevision}`);
        }
        for (const { type, kv } of response.events) {
          if (kv === undefined) continue;
          const value = type === 0 ? textOf(kv.value) : undefined;
          onChange({ revision: kv.modRevision, key: textOf(kv.key), value });
        }
      }
    } catch (error) {
      if (!signal.aborted && !isLost(error)) throw error;
    } finally {
      signal.removeEventListener("abort", stop);
      stream.cancel();
    }
  }

  [Symbol.dispose](): void {
    for (const channel of this.#channels.values()) channel[Symbol.dispose]();
  }

  async #written(target: Target, send: (channel: GrpcClient) => Promise<Written>): Promise<Written> {
    try {
      return await send(this.#channel(target));
    } catch (error) {
      const why = this.#errorOf(error, target);
      return { outcome: { kind: NOT_APPLIED.test(why) ? "refused" : "unknown", why } };
    }
  }

  #errorOf(error: unknown, { name }: Target): string {
    if (!isServiceError(error)) throw error;
    if (!UNAVAILABLE.has(error.code)) this.#onOddity(`${name} answered a v3 call: ${error.code} ${error.details}`);
    return error.details;
  }

  #channel({ name, clientUrl }: Target): GrpcClient {
    let channel = this.#channels.get(name);
    if (channel === undefined) {
      channel = new GrpcClient(clientUrl, CHANNEL);
      this.#channels.set(name, channel);
    }
    return channel;
  }
}

function deadline(): { readonly deadline: number } {
  return { deadline: Date.now() + CLIENT_TIMEOUT_MS };
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && typeof Reflect.get(error, "code") === "number" && "details" in error;
}

function isLost(error: unknown): boolean {
  return isServiceError(error) && UNAVAILABLE.has(error.code);
}
