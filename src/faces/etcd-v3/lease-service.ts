/** The Lease service: times to live that keys hang on. */
import { isMusterError } from "../../base/errors.ts";
import type { Keyspace } from "../../domain/keyspace/keyspace.ts";
import type { LeaseStatus } from "../../engine/model.ts";
import type { CallPeer, StreamCall } from "../../grpc/call.ts";
import { defineService, type Service } from "../../grpc/service.ts";
import { LeaseDefinition, type LeaseKeepAliveRequest, type LeaseKeepAliveResponse } from "../../proto/etcdserverpb.ts";
import { toGrpcError } from "./errors.ts";
import type { Headers } from "./header.ts";

export interface LeaseOptions {
  readonly headers: Headers;
  /** The keys as the caller may see and write them. */
  readonly keyspaceFor: (peer: CallPeer) => Keyspace;
}

/** The service over a keyspace. */
export function leaseService({ headers, keyspaceFor }: LeaseOptions): Service {
  const headerNow = async (keyspace: Keyspace) => headers.at((await keyspace.status()).revision);
  return defineService(
    LeaseDefinition,
    {
      leaseGrant: async ({ ID, TTL }, call) => {
        const keyspace = keyspaceFor(call.peer);
        // Asked before: a store that goes away after the grant must not make it look as if there were none.
        const header = await headerNow(keyspace);
        const { id, ttl } = await keyspace.grantLease({ id: ID, ttl: TTL });
        return { header, ID: id, TTL: ttl, error: "" };
      },
      leaseRevoke: async ({ ID }, call) => {
        const { revision } = await keyspaceFor(call.peer).revokeLease(ID);
        return { header: headers.at(revision) };
      },
      leaseKeepAlive: (requests, call) => keepAlive(requests, call, { headers, keyspace: keyspaceFor(call.peer) }),
      leaseTimeToLive: async ({ ID, keys }, call) => {
        const keyspace = keyspaceFor(call.peer);
        const status = await statusOf(keyspace, ID, keys);
        return {
          header: await headerNow(keyspace),
          ID,
          TTL: status?.ttl ?? -1,
          grantedTTL: status?.grantedTtl ?? 0,
          keys: status?.keys ?? [],
        };
      },
      leaseLeases: async (_request, call) => {
        const keyspace = keyspaceFor(call.peer);
        const leases = (await keyspace.leases()).map((ID) => ({ ID }));
        return { header: await headerNow(keyspace), leases };
      },
    },
    { toGrpcError },
  );
}

/** Answers each request in its turn; a lease that is not there with a time to live of 0, as etcd does. */
async function keepAlive(
  requests: AsyncIterable<LeaseKeepAliveRequest>,
  call: StreamCall<LeaseKeepAliveResponse>,
  { headers, keyspace }: { readonly headers: Headers; readonly keyspace: Keyspace },
): Promise<void> {
  for await (const { ID } of requests) {
    // Asked before: else the answer could tell of a revision at which the lease had ended.
    const { revision } = await keyspace.status();
    const ttl = await keyspace.keepLeaseAlive(ID).catch(noneIfNotFound);
    await call.send({ header: headers.at(revision), ID, TTL: ttl ?? 0 });
  }
}

function statusOf(keyspace: Keyspace, id: bigint, keys: boolean): Promise<LeaseStatus | undefined> {
  return keyspace.leaseStatus(id, { keys }).catch(noneIfNotFound);
}

function noneIfNotFound(error: unknown): undefined {
  if (!isMusterError(error, "leaseNotFound")) throw error;
}
