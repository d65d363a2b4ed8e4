/** gRPC on the public listener: what nodes that boot by etcd's v3 discovery need, and no more. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Bytes } from "../../base/bytes.ts";
import { isMusterError } from "../../base/errors.ts";
import { fairTurns } from "../../base/fair-turns.ts";
import { MAX_PUBLIC_STREAM_WATCHES, REFUSED_WATCH_MS } from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import type { Keyspace } from "../../domain/keyspace/keyspace.ts";
import type { Origin } from "../../domain/registry/origin.ts";
import type { Registry } from "../../domain/registry/registry.ts";
import type { Token } from "../../domain/registry/token.ts";
import type { Call, CallPeer, EncodedMessage, StreamCall } from "../../grpc/call.ts";
import { definePartOfService, type Service } from "../../grpc/service.ts";
import type * as wire from "../../proto/etcdserverpb.ts";
import { KVDefinition, WatchDefinition } from "../../proto/etcdserverpb.ts";
import type { Headers } from "./header.ts";
import { mustFit, readRange } from "./kv-requests.ts";
import { encodedIfLarge } from "./large-answers.ts";
import { noDiscoveryKey, noToken, tooManyWatches, toPublicError } from "./public-errors.ts";
import { type Discovery, readDiscoveryPut, readDiscoveryRange, readDiscoveryWatch } from "./public-shapes.ts";
import { serveWatches } from "./watch-service.ts";
import { WatchSession } from "./watch-session.ts";

export interface PublicOptions {
  readonly headers: Headers;
  readonly registry: Registry;
  /** What clients see of the store, without the registry. */
  readonly keyspace: Keyspace;
  readonly log: Log;
  /** The largest registration, in bytes, as etcd counts it. */
  readonly maxRequestBytes: number;
}

/** The calls that answer nodes that boot; a server refuses all others with `noDiscovery`. */
export function publicServices(options: PublicOptions): readonly Service[] {
  const face = new PublicFace(options);
  return [
    definePartOfService(KVDefinition, {
      range: (request, call) => face.range(request, call),
      put: (request, call) => face.put(request, call),
    }),
    definePartOfService(WatchDefinition, { watch: (requests, call) => face.watch(requests, call) }),
  ];
}

class PublicFace {
  readonly #options: PublicOptions;

  constructor(options: PublicOptions) {
    this.#options = options;
  }

  async range(request: wire.RangeRequest, { peer }: Call): Promise<wire.RangeResponse | EncodedMessage> {
    const asked = admitted(request, readDiscoveryRange(request));
    return this.#inTurn(asked, async () => {
      await this.#mustExist(asked.token);
      const { revision, ...found } = await this.#keyspaceFor(peer).range(readRange(request));
      const response = { header: this.#options.headers.at(revision), ...found };
      return encodedIfLarge({ $case: "responseRange", value: response }, response);
    });
  }

  async put(request: wire.PutRequest, { peer, requestBytes }: Call): Promise<wire.PutResponse> {
    const asked = admitted(request, readDiscoveryPut(request));
    mustFit(requestBytes, this.#options.maxRequestBytes);
    return this.#inTurn(asked, async () => {
      const revision = await this.#options.registry.register({ ...asked, value: request.value }, originOf(peer));
      return { header: this.#options.headers.at(revision), prevKv: undefined };
    });
  }

  async watch(requests: AsyncIterable<wire.WatchRequest>, call: StreamCall<wire.WatchResponse>): Promise<void> {
    const keyspace = this.#keyspaceFor(call.peer);
    const { headers, log } = this.#options;
    const session = new WatchSession({ headers, keyspace, send: (response) => call.send(response) });
    try {
      await serveWatches(session, this.#admittedWatches(requests, call), call.signal);
    } catch (error) {
      throw toPublicError(error, log);
    }
  }

  /** Ends the whole stream at the first request that will not do. */
  async *#admittedWatches(
    requests: AsyncIterable<wire.WatchRequest>,
    call: Call,
  ): AsyncGenerator<wire.WatchRequest, void, undefined> {
    let watches = 0;
    for await (const request of requests) {
      if (request.requestUnion?.$case === "createRequest") {
        if (++watches > MAX_PUBLIC_STREAM_WATCHES) throw tooManyWatches();
        const create = request.requestUnion.value;
        const asked = admitted(create, readDiscoveryWatch(create));
        await this.#inTurn(asked, () => this.#mustExistToWait(asked.token, call));
      }
      yield request;
    }
  }

  async #mustExistToWait(token: Token, { signal }: Call): Promise<void> {
    if (await this.#options.registry.exists(token)) return;
    await sleep(REFUSED_WATCH_MS, undefined, { signal, ref: false });
    throw noToken(token);
  }

  async #mustExist(token: Token): Promise<void> {
    if (!(await this.#options.registry.exists(token))) throw noToken(token);
  }

  /** Tokens take turns where many ask, and whatever goes wrong is told in this listener's words. */
  async #inTurn<T>({ token }: Discovery, work: () => Promise<T>): Promise<T> {
    const turn = fairTurns.enter(token);
    if (turn !== undefined) await turn;
    try {
      return await work();
    } catch (error) {
      throw isMusterError(error, "nodeNotFound") ? noToken(token) : toPublicError(error, this.#options.log);
    }
  }

  #keyspaceFor(peer: CallPeer): Keyspace {
    return this.#options.registry.keyspaceFor(originOf(peer), this.#options.keyspace);
  }
}

function admitted<T>({ key }: { readonly key: Bytes }, asked: T | undefined): T {
  if (asked === undefined) throw noDiscoveryKey(key);
  return asked;
}

function originOf({ address, host, connection }: CallPeer): Origin {
  return { protocol: "v3", scope: "public", address, host, connection };
}
