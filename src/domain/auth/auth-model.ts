/** Users and roles as etcd's v3 clients know them. They are kept and told; what anybody may do depends on none of them. */
import type { Bytes } from "../../base/bytes.ts";

export interface User {
  /** Whether it was made without a password. What its password is, is kept nowhere. */
  readonly noPassword: boolean;
  /** In the order of their bytes. */
  readonly roles: readonly string[];
}

export const PERMISSION_TYPES = ["read", "write", "readwrite"] as const;
export type PermissionType = (typeof PERMISSION_TYPES)[number];

/** What may be done to keys: to one, where `end` is empty; else as in etcd's ranges, where a byte 0 is "no end". */
export interface Permission {
  readonly type: PermissionType;
  readonly key: Bytes;
  readonly end: Bytes;
}

export interface Role {
  readonly permissions: readonly Permission[];
}

/** The user without whom, and the role without which, etcd does not turn its authentication on. */
export const ROOT = "root";
