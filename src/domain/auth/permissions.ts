/** The permissions of a role, kept as etcd keeps them (server/auth/store.go): in order of their keys. */
import { type Bytes, compareBytes, equalBytes } from "../../base/bytes.ts";
import type { Permission } from "./auth-model.ts";

/** Which keys a permission is for. */
export type PermittedKeys = Pick<Permission, "key" | "end">;

/** All there is to permit; what etcd tells of the role "root". */
export const EVERYTHING: Permission = { type: "readwrite", key: Buffer.alloc(0), end: Buffer.of(0) };

/** Whether it is a range that etcd takes: one key, or from a key to one behind it or to the end. */
export function isSoundRange({ key, end }: PermittedKeys): boolean {
  if (key.length === 0) return false;
  return end.length === 0 || isOpenEnd(end) || compareBytes(key, end) < 0;
}

/**
 * With a permission added, or changed where there is one for the same keys. etcd looks for that only at the first one of
 * the key: where there are others of it, and it is not the first, it stands there twice.
 */
export function withPermission(permissions: readonly Permission[], added: Permission): readonly Permission[] {
  const first = permissions.findIndex(({ key }) => compareBytes(key, added.key) >= 0);
  const found = permissions[first];
  if (found !== undefined && isFor(found, added)) return permissions.with(first, added);
  const behind = permissions.findIndex(({ key }) => compareBytes(key, added.key) > 0);
  return permissions.toSpliced(behind < 0 ? permissions.length : behind, 0, added);
}

/** Without those for exactly these keys. */
export function withoutPermission(permissions: readonly Permission[], keys: PermittedKeys): readonly Permission[] {
  return permissions.filter((permission) => !isFor(permission, keys));
}

function isFor(permission: Permission, { key, end }: PermittedKeys): boolean {
  return equalBytes(permission.key, key) && equalBytes(permission.end, end);
}

function isOpenEnd(end: Bytes): boolean {
  return end.length === 1 && end[0] === 0;
}
