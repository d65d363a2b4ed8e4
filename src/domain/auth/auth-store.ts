/**
 * Users and roles, added, granted and deleted by the rules of an etcd whose authentication is off (server/auth/store.go,
 * as since etcd 3.6). Passwords are not among what is kept: nobody can ever log in with one.
 */
import { compareBytes, utf8 } from "../../base/bytes.ts";
import type { Revision } from "../../engine/model.ts";
import { type AuthKind, dropAuth, mustFit, putRole, putUser } from "./auth-layout.ts";
import { type Permission, ROOT, type Role, type User } from "./auth-model.ts";
import { type AuthEngine, type AuthFound, AuthRecords } from "./auth-records.ts";
import { refusedAuth } from "./auth-refusals.ts";
import { EVERYTHING, isSoundRange, type PermittedKeys, withoutPermission, withPermission } from "./permissions.ts";

/** Which role, and to or from which user. */
export interface RoleGrant {
  readonly user: string;
  readonly role: string;
}

/**
 * Every call tells the store's revision at which its answer holds. Refusals are `authRefused` (see `authRefusalOf`);
 * those that change something also reject with `contention`, `tooLarge` and, where a name is new, `keyTooLong`.
 */
export class AuthStore {
  readonly #records: AuthRecords;

  /** The engine stays the caller's. */
  constructor(engine: AuthEngine) {
    this.#records = new AuthRecords(engine);
  }

  /** How often users and roles were changed, as etcd counts it: from 1. */
  async status(): Promise<Pick<AuthFound, "revision" | "authRevision">> {
    return this.#records.read({});
  }

  /** Refuses where etcd would not turn its authentication on. */
  async mustHaveRoot(): Promise<void> {
    const { users } = await this.#records.read({ user: ROOT });
    const root = users.get(ROOT);
    if (root === undefined) throw refusedAuth("rootUserNotExist");
    if (!root.roles.includes(ROOT)) throw refusedAuth("rootRoleNotExist");
  }

  /** The names of all users, or of all roles; in order of their bytes. */
  list(kind: AuthKind): Promise<{ readonly revision: Revision; readonly names: readonly string[] }> {
    return this.#records.names(kind);
  }

  async user(name: string): Promise<User & { readonly revision: Revision }> {
    const found = await this.#records.read({ user: name });
    return { revision: found.revision, ...userIn(found, name) };
  }

  /** The role "root" is told to permit everything, whatever was granted to it. */
  async role(name: string): Promise<Role & { readonly revision: Revision }> {
    const found = await this.#records.read({ role: name });
    const role = roleIn(found);
    return { revision: found.revision, permissions: name === ROOT ? [EVERYTHING] : role.permissions };
  }

  async addUser(name: string, { noPassword }: Pick<User, "noPassword">): Promise<Revision> {
    if (name === "") throw refusedAuth("userEmpty");
    mustFit("user", name);
    return this.#records.change({ user: name }, ({ users }) => {
      if (users.has(name)) throw refusedAuth("userAlreadyExist");
      return [putUser(name, { noPassword, roles: [] })];
    });
  }

  deleteUser(name: string): Promise<Revision> {
    return this.#records.change({ user: name }, (found) => {
      userIn(found, name);
      return [dropAuth("user", name)];
    });
  }

  /** Counts as a change, though nothing of a password is kept. `isReadable`: whether what was given can be one. */
  changePassword(name: string, { isReadable }: { readonly isReadable: boolean }): Promise<Revision> {
    return this.#records.change({ user: name }, (found) => {
      const { noPassword } = userIn(found, name);
      if (!noPassword && !isReadable) throw refusedAuth("noPasswordUser");
      return [];
    });
  }

  /** The role must be there, but for "root". One that the user has already is no change. */
  grantRole({ user: name, role }: RoleGrant): Promise<Revision> {
    return this.#records.change({ user: name, role }, (found) => {
      const user = userIn(found, name);
      if (role !== ROOT) roleIn(found);
      if (user.roles.includes(role)) return undefined;
      return [putUser(name, { ...user, roles: [...user.roles, role].sort(byBytes) })];
    });
  }

  revokeRole({ user: name, role }: RoleGrant): Promise<Revision> {
    return this.#records.change({ user: name }, (found) => {
      const user = userIn(found, name);
      if (!user.roles.includes(role)) throw refusedAuth("roleNotGranted");
      return [putUser(name, withoutRole(user, role))];
    });
  }

  async addRole(name: string): Promise<Revision> {
    if (name === "") throw refusedAuth("roleEmpty");
    mustFit("role", name);
    return this.#records.change({ role: name }, ({ role }) => {
      if (role !== undefined) throw refusedAuth("roleAlreadyExist");
      return [putRole(name, { permissions: [] })];
    });
  }

  /** Takes it from all users who have it, too. */
  deleteRole(name: string): Promise<Revision> {
    return this.#records.change({ role: name, allUsers: true }, (found) => {
      roleIn(found);
      const having = [...found.users].filter(([, user]) => user.roles.includes(name));
      return [dropAuth("role", name), ...having.map(([of, user]) => putUser(of, withoutRole(user, name)))];
    });
  }

  async grantPermission(name: string, permission: Permission): Promise<Revision> {
    if (!isSoundRange(permission)) throw refusedAuth("invalidAuthMgmt");
    return this.#records.change({ role: name }, (found) => {
      const { permissions } = roleIn(found);
      return [putRole(name, { permissions: withPermission(permissions, permission) })];
    });
  }

  revokePermission(name: string, keys: PermittedKeys): Promise<Revision> {
    return this.#records.change({ role: name }, (found) => {
      const { permissions } = roleIn(found);
      const left = withoutPermission(permissions, keys);
      if (left.length === permissions.length) throw refusedAuth("permissionNotGranted");
      return [putRole(name, { permissions: left })];
    });
  }
}

function userIn({ users }: AuthFound, name: string): User {
  const user = users.get(name);
  if (user === undefined) throw refusedAuth("userNotFound");
  return user;
}

function roleIn({ role }: AuthFound): Role {
  if (role === undefined) throw refusedAuth("roleNotFound");
  return role;
}

function withoutRole(user: User, role: string): User {
  return { ...user, roles: user.roles.filter((other) => other !== role) };
}

function byBytes(a: string, b: string): number {
  return compareBytes(utf8(a), utf8(b));
}
