/**
 * The Auth service of an etcd whose authentication is off, and which has no users and no roles: looking for one answers
 * as there, and making one says that there are none.
 */
import type { Keyspace } from "../../domain/keyspace/keyspace.ts";
import type { CallPeer } from "../../grpc/call.ts";
import { GrpcError } from "../../grpc/grpc-error.ts";
import { defineService, type Service } from "../../grpc/service.ts";
import { Status } from "../../grpc/status.ts";
import { AuthDefinition } from "../../proto/etcdserverpb.ts";
import { etcdError, toGrpcError } from "./errors.ts";
import type { Headers } from "./header.ts";

export interface AuthOptions {
  readonly headers: Headers;
  /** The keys as the caller may see and write them: of them, only the revision is told. */
  readonly keyspaceFor: (peer: CallPeer) => Keyspace;
  /** Whether the store is an etcd, which may have users of its own. */
  readonly isRemote: boolean;
}

/** What an etcd tells that never had a user. */
const AUTH_REVISION = 1;

const NO_USERS =
  "Keep clients out by the address that Muster listens on: it has no users, roles and passwords, and its authentication is always off";

const ETCD_USERS =
  "Make users and roles in the etcd behind this Muster with etcdctl there: Muster's own authentication is always off";

/** The service over a keyspace. */
export function authService({ headers, keyspaceFor, isRemote }: AuthOptions): Service {
  const unserved = () => new GrpcError(Status.UNIMPLEMENTED, isRemote ? ETCD_USERS : NO_USERS);
  const headerFor = async ({ peer }: { readonly peer: CallPeer }) =>
    headers.at((await keyspaceFor(peer).status()).revision);
  const noUser = async (): Promise<never> => {
    throw etcdError("userNotFound");
  };
  const noRole = async (): Promise<never> => {
    throw etcdError("roleNotFound");
  };
  return defineService(
    AuthDefinition,
    {
      authStatus: async (_request, call) => ({
        header: await headerFor(call),
        enabled: false,
        authRevision: AUTH_REVISION,
      }),
      authEnable: async () => {
        throw etcdError("rootUserNotExist");
      },
      authDisable: async (_request, call) => ({ header: await headerFor(call) }),
      authenticate: async () => {
        throw etcdError("authNotEnabled");
      },
      userAdd: async ({ name }) => {
        throw name === "" ? etcdError("userEmpty") : unserved();
      },
      userGet: noUser,
      userDelete: noUser,
      userChangePassword: noUser,
      userGrantRole: noUser,
      userRevokeRole: noUser,
      userList: async (_request, call) => ({ header: await headerFor(call), users: [] }),
      roleAdd: async ({ name }) => {
        throw name === "" ? etcdError("roleEmpty") : unserved();
      },
      roleGet: noRole,
      roleDelete: noRole,
      roleGrantPermission: async ({ perm }) => {
        throw etcdError(perm === undefined ? "permissionNotGiven" : "roleNotFound");
      },
      roleRevokePermission: noRole,
      roleList: async (_request, call) => ({ header: await headerFor(call), roles: [] }),
    },
    { toGrpcError },
  );
}
