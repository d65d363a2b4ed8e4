/** One member of an etcd cluster: its connection, single calls to it, and whether it lives. */
import { isIP } from "node:net";
import { checkServerIdentity as checkIdentity, type PeerCertificate } from "node:tls";
import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  type ClientOptions,
  connectivityState,
  credentials,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import {
  STORE_ATTEMPT_MS,
  STORE_PING_MS,
  STORE_RECONNECT_MS,
  STORE_RETRY_MS,
  STORE_STREAM_WINDOW_BYTES,
} from "../../base/store-limits.ts";
import { HAS_LEADER, NotSent } from "./etcd-errors.ts";
import type { EtcdMethod } from "./etcd-methods.ts";
import type { EtcdStoreOptions } from "./etcd-options.ts";

/** Any size: what may be asked for is limited by who asks, and etcd limits what may be written. */
const UNLIMITED = -1;

/** What a server that has only an address is called in a TLS handshake. */
const NAMELESS = "etcd";

/** A connection that stood so long has answered a ping. */
const PINGED_MS = STORE_PING_MS + STORE_ATTEMPT_MS;

/** How a call is made. */
export interface CallContext {
  /** etcd's token for the user, where there is one. */
  readonly token: string | undefined;
  /** How long it may take from now, in ms. */
  readonly timeoutMs: number;
  /** Gives the call up; only where it is unary. */
  readonly signal?: AbortSignal;
}

/** One member of the etcd cluster, with a connection of its own that comes back by itself. */
export class EtcdEndpoint {
  readonly name: string;
  /** Why the last call failed, and when (ms since 1970); undefined where it did not. */
  #problem: { readonly reason: string; readonly at: number } | undefined;
  readonly #client: Client;
  /** Calls that wait for their answer. */
  readonly #calls = new Set<{ cancel(): void }>();

  constructor(name: string, tls: EtcdStoreOptions["tls"]) {
    this.name = name;
    this.#client = new Client(name, channelCredentials(name, tls), channelOptions(name, tls));
  }

  /** A call was answered. */
  worked(): void {
    this.#problem = undefined;
  }

  /** A call failed. */
  failed(reason: string): void {
    this.#problem = { reason, at: Date.now() };
  }

  /**
   * What is wrong with it, as far as that can be told without a call: one that is not in use is connected to all the
   * same. What failed of old counts no more where there is a connection that answers pings.
   */
  look(): string | undefined {
    const state = this.#client.getChannel().getConnectivityState(true);
    if (state === connectivityState.READY && Date.now() - (this.#problem?.at ?? 0) > PINGED_MS) {
      this.#problem = undefined;
    }
    const isLost = state === connectivityState.TRANSIENT_FAILURE;
    return this.#problem?.reason ?? (isLost ? `there is no connection to ${this.name}` : undefined);
  }

  /**
   * Resolves when there is a connection, or when it was just refused: then calls are, too, at once and with the reason.
   * Rejects with NotSent where there is neither within the time.
   */
  async whenConnected(timeoutMs: number): Promise<void> {
    const channel = this.#client.getChannel();
    const deadline = Date.now() + Math.min(timeoutMs, STORE_ATTEMPT_MS);
    for (;;) {
      const state = channel.getConnectivityState(true);
      if (state === connectivityState.READY || state === connectivityState.TRANSIENT_FAILURE) {
        return;
      }
      if (state === connectivityState.SHUTDOWN) {
        throw new NotSent(`${this.name} is not to be used any more`);
      }
      await new Promise<void>((resolve, reject) => {
        channel.watchConnectivityState(state, deadline, (error) => {
          if (error === undefined) resolve();
          else reject(new NotSent(`${this.name} did not take a connection in time`));
        });
      });
    }
  }

  /** One request, one answer. Rejects as grpc-js does; the deadline is among that. */
  unary<Request, Response>(
    method: EtcdMethod<Request, Response>,
    request: Request,
    context: CallContext,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      const onAnswer = (error: ServiceError | null, response?: Response) => {
        this.#calls.delete(call);
        if (response === undefined) reject(error);
        else resolve(response);
      };
      const options = { deadline: Date.now() + context.timeoutMs };
      const { path, serialize, deserialize } = method;
      const call = this.#client.makeUnaryRequest(
        path,
        serialize,
        deserialize,
        request,
        metadataOf(context.token),
        options,
        onAnswer,
      );
      this.#calls.add(call);
      context.signal?.addEventListener("abort", () => call.cancel(), { once: true });
    });
  }

  /** A call of many requests and answers, without a deadline. Whoever leaves it must cancel it. */
  stream<Request, Response>(
    { path, serialize, deserialize }: EtcdMethod<Request, Response>,
    token: string | undefined,
  ): ClientDuplexStream<Request, Response> {
    return this.#client.makeBidiStreamRequest(path, serialize, deserialize, metadataOf(token));
  }

  /** The first answer of a stream to one request, as if the call were unary. */
  async first<Request, Response>(
    method: EtcdMethod<Request, Response>,
    request: Request,
    { token, timeoutMs }: CallContext,
  ): Promise<Response> {
    const { path, serialize, deserialize } = method;
    const options = { deadline: Date.now() + timeoutMs };
    const stream = this.#client.makeBidiStreamRequest(path, serialize, deserialize, metadataOf(token), options);
    this.#calls.add(stream);
    try {
      return await new Promise<Response>((resolve, reject) => {
        stream.once("data", resolve).once("error", reject);
        stream.once("end", () => reject(new NotSent(`${this.name} ended the call without an answer`)));
        stream.write(request);
      });
    } finally {
      this.#calls.delete(stream);
      stream.on("error", ignoreAfterwards).cancel();
    }
  }

  /** Calls that still wait are canceled: of a write nobody knows then whether it was done. */
  close(): void {
    for (const call of [...this.#calls]) {
      call.cancel();
    }
    this.#client.close();
  }
}

/** The one who cancels a stream has what it wanted: what the stream says to that is of no use. */
export function ignoreAfterwards(): void {}

function metadataOf(token: string | undefined): Metadata {
  const metadata = new Metadata();
  metadata.set(...HAS_LEADER);
  if (token !== undefined) {
    metadata.set("token", token);
  }
  return metadata;
}

function channelCredentials(name: string, tls: EtcdStoreOptions["tls"]): ChannelCredentials {
  if (tls === undefined) {
    return credentials.createInsecure();
  }
  const checkServerIdentity = (_: string, certificate: PeerCertificate) => checkIdentity(hostOf(name), certificate);
  return credentials.createSsl(tls.ca ?? null, tls.key ?? null, tls.cert ?? null, { checkServerIdentity });
}

function channelOptions(name: string, tls: EtcdStoreOptions["tls"]): ClientOptions {
  // TLS has no server name for an address, and Node warns of one; the certificate is held against the address all the same.
  const isAddress = tls !== undefined && isIP(hostOf(name)) !== 0;
  return { ...CHANNEL_OPTIONS, ...(isAddress ? { "grpc.ssl_target_name_override": NAMELESS } : {}) };
}

function hostOf(name: string): string {
  return name.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
}

const CHANNEL_OPTIONS: ClientOptions = {
  "grpc.max_receive_message_length": UNLIMITED,
  "grpc.max_send_message_length": UNLIMITED,
  "grpc.initial_reconnect_backoff_ms": STORE_RETRY_MS,
  "grpc.max_reconnect_backoff_ms": STORE_RECONNECT_MS,
  "grpc.keepalive_time_ms": STORE_PING_MS,
  "grpc.keepalive_timeout_ms": STORE_ATTEMPT_MS,
  // A connection of its own, so that closing one engine leaves others alone.
  "grpc.use_local_subchannel_pool": 1,
  "grpc.enable_http_proxy": 0,
  // No retry policy from a DNS record: which calls may be repeated is ours to know.
  "grpc.service_config_disable_resolution": 1,
  "grpc-node.flow_control_window": STORE_STREAM_WINDOW_BYTES,
};
