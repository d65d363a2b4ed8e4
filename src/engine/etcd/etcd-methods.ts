/** The calls of etcd that the engine makes, as @grpc/grpc-js wants them. */
import type { Codec } from "../../grpc/service.ts";
import {
  AuthDefinition,
  KVDefinition,
  LeaseDefinition,
  MaintenanceDefinition,
  WatchDefinition,
} from "../../proto/etcdserverpb.ts";

export interface EtcdMethod<Request, Response> {
  readonly path: string;
  readonly serialize: (request: Request) => Buffer;
  readonly deserialize: (bytes: Buffer) => Response;
}

interface Generated<Request, Response> {
  readonly name: string;
  readonly requestType: Codec<Request>;
  readonly responseType: Codec<Response>;
}

function method<Request, Response>(
  { fullName }: { readonly fullName: string },
  { name, requestType, responseType }: Generated<Request, Response>,
): EtcdMethod<Request, Response> {
  return {
    path: `/${fullName}/${name}`,
    serialize: (request) => {
      const bytes = requestType.encode(request).finish();
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    },
    deserialize: (bytes) => responseType.decode(bytes),
  };
}

export const RANGE = method(KVDefinition, KVDefinition.methods.range);
export const TXN = method(KVDefinition, KVDefinition.methods.txn);
export const COMPACT = method(KVDefinition, KVDefinition.methods.compact);
export const WATCH = method(WatchDefinition, WatchDefinition.methods.watch);
export const LEASE_GRANT = method(LeaseDefinition, LeaseDefinition.methods.leaseGrant);
export const LEASE_REVOKE = method(LeaseDefinition, LeaseDefinition.methods.leaseRevoke);
export const LEASE_KEEP_ALIVE = method(LeaseDefinition, LeaseDefinition.methods.leaseKeepAlive);
export const LEASE_TIME_TO_LIVE = method(LeaseDefinition, LeaseDefinition.methods.leaseTimeToLive);
export const LEASE_LEASES = method(LeaseDefinition, LeaseDefinition.methods.leaseLeases);
export const AUTHENTICATE = method(AuthDefinition, AuthDefinition.methods.authenticate);
export const STATUS = method(MaintenanceDefinition, MaintenanceDefinition.methods.status);
