/** The Auth service of an etcd whose authentication is off: users and roles are there, and nobody is asked for either. */
import { MusterError } from "../../base/errors.ts";
import type { Permission, PermissionType } from "../../domain/auth/auth-model.ts";
import type { AuthStore } from "../../domain/auth/auth-store.ts";
import type { Revision } from "../../engine/model.ts";
import { GrpcError } from "../../grpc/grpc-error.ts";
import { defineService, type Service } from "../../grpc/service.ts";
import { Status } from "../../grpc/status.ts";
import { type Permission as WirePermission, Permission_Type as WireType } from "../../proto/authpb.ts";
import { AuthDefinition } from "../../proto/etcdserverpb.ts";
import { isReadable, mustBeHashable } from "./auth-passwords.ts";
import { etcdError, toGrpcError } from "./errors.ts";
import type { Headers } from "./header.ts";

export interface AuthOptions {
  readonly headers: Headers;
  readonly auth: AuthStore;
  /** Whether the store is an etcd, which may have users of its own: none are made beside them. */
  readonly isRemote: boolean;
}

const ALWAYS_OFF =
  "Keep clients out by the address that the client listener has, or by a proxy before it: Muster's authentication is always off";
const ETCD_USERS =
  "Make users and roles in the etcd behind this Muster with etcdctl there: Muster's own authentication is always off";

/** The service over the users and roles of a store. */
export function authService({ headers, auth, isRemote }: AuthOptions): Service {
  const changed = async (change: Promise<Revision>) => ({ header: headers.at(await change) });
  // What the store was moved with can still be looked at, and taken out.
  const mustBeOwn = () => {
    if (isRemote) throw new GrpcError(Status.UNIMPLEMENTED, ETCD_USERS);
  };
  return defineService(
    AuthDefinition,
    {
      authStatus: async () => {
        const { revision, authRevision } = await auth.status();
        return { header: headers.at(revision), enabled: false, authRevision };
      },
      authEnable: async () => {
        await auth.mustHaveRoot();
        throw new GrpcError(Status.UNIMPLEMENTED, isRemote ? ETCD_USERS : ALWAYS_OFF);
      },
      authDisable: async () => ({ header: headers.at((await auth.status()).revision) }),
      authenticate: async () => {
        throw etcdError("authNotEnabled");
      },
      userAdd: async ({ name, password, options }) => {
        mustBeOwn();
        const noPassword = options?.noPassword === true;
        if (!noPassword) mustBeHashable(password);
        return changed(auth.addUser(name, { noPassword }));
      },
      userGet: async ({ name }) => {
        const { revision, roles } = await auth.user(name);
        return { header: headers.at(revision), roles };
      },
      userList: async () => {
        const { revision, names } = await auth.list("user");
        return { header: headers.at(revision), users: names };
      },
      userDelete: ({ name }) => changed(auth.deleteUser(name)),
      userChangePassword: async ({ name, password, hashedPassword }) => {
        mustBeHashable(password);
        return changed(auth.changePassword(name, { isReadable: isReadable({ password, hashedPassword }) }));
      },
      userGrantRole: ({ user, role }) => changed(auth.grantRole({ user, role })),
      userRevokeRole: ({ name, role }) => changed(auth.revokeRole({ user: name, role })),
      roleAdd: async ({ name }) => {
        mustBeOwn();
        return changed(auth.addRole(name));
      },
      roleGet: async ({ role }) => {
        const { revision, permissions } = await auth.role(role);
        return { header: headers.at(revision), perm: permissions.map(toWire) };
      },
      roleList: async () => {
        const { revision, names } = await auth.list("role");
        return { header: headers.at(revision), roles: names };
      },
      roleDelete: ({ role }) => changed(auth.deleteRole(role)),
      roleGrantPermission: async ({ name, perm }) => {
        if (perm === undefined) throw etcdError("permissionNotGiven");
        return changed(auth.grantPermission(name, fromWire(perm)));
      },
      roleRevokePermission: ({ role, key, rangeEnd }) => changed(auth.revokePermission(role, { key, end: rangeEnd })),
    },
    { toGrpcError },
  );
}

const WIRE_TYPES = {
  read: WireType.READ,
  write: WireType.WRITE,
  readwrite: WireType.READWRITE,
} as const satisfies Record<PermissionType, WireType>;

const TYPES = {
  [WireType.READ]: "read",
  [WireType.WRITE]: "write",
  [WireType.READWRITE]: "readwrite",
} as const satisfies Record<WireType, PermissionType>;

function toWire({ type, key, end }: Permission): WirePermission {
  return { permType: WIRE_TYPES[type], key, rangeEnd: end };
}

/** Error: `invalidArgument`, for a type that there is not: etcd takes it, and permits nothing by it. */
function fromWire({ permType, key, rangeEnd }: WirePermission): Permission {
  // The number is the client's, and may be any.
  const type: PermissionType | undefined = TYPES[permType];
  if (type !== undefined) return { type, key, end: rangeEnd };
  throw new MusterError("invalidArgument", `Permit READ, WRITE or READWRITE: "${permType}" is none of them`);
}
