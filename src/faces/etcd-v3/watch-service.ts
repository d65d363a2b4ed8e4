/** etcd's Watch service: a stream of watches for each call. */
import type { Keyspace } from "../../domain/keyspace/keyspace.ts";
import type { CallPeer } from "../../grpc/call.ts";
import { defineService, type Service } from "../../grpc/service.ts";
import { WatchDefinition, type WatchRequest } from "../../proto/etcdserverpb.ts";
import { toGrpcError } from "./errors.ts";
import type { Headers } from "./header.ts";
import { WatchSession } from "./watch-session.ts";

export interface WatchServiceOptions {
  readonly keyspaceFor: (peer: CallPeer) => Pick<Keyspace, "watch" | "status">;
  readonly headers: Headers;
  /** Of watches that asked for progress notices, in ms. Default: WATCH_PROGRESS_INTERVAL_MS. */
  readonly progressIntervalMs?: number;
}

export function watchService(options: WatchServiceOptions): Service {
  return defineService(
    WatchDefinition,
    {
      watch: async (requests, call) => {
        const keyspace = options.keyspaceFor(call.peer);
        const session = new WatchSession({ ...options, keyspace, send: (response) => call.send(response) });
        await serveWatches(session, requests, call.signal);
      },
    },
    { toGrpcError },
  );
}

/**
 * Serves a stream of watches until the client goes, the store fails or a request does. A client that has no more to ask
 * is still told of its watches, as with etcd. Closes the session.
 */
export async function serveWatches(
  session: WatchSession,
  requests: AsyncIterable<WatchRequest>,
  signal: AbortSignal,
): Promise<void> {
  const gone = new Promise<never>((_resolve, reject) => {
    const end = () => reject(signal.reason);
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
  const serving = async () => {
    for await (const request of requests) await session.take(request);
    await gone;
  };
  try {
    // A request may wait for a store that is away, and must not keep a client's watches when the client has gone.
    await Promise.race([session.failed, gone, serving()]);
  } finally {
    session.close();
  }
}
