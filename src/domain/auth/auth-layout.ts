/**
 * Where users and roles are kept: in internal keys (byte 0 first), each a record in JSON.
 *
 *   00 "auth/revision"    how often any of them was changed: {revision}, 1 where there is none; put with every change
 *   00 "auth/user/" NAME  a user: {noPassword, roles}
 *   00 "auth/role/" NAME  a role: {permissions}, their keys in base64
 */
import * as z from "zod";
import { AUTH_RECORD_BYTES } from "../../base/auth-limits.ts";
import { type Bytes, prefixEnd, startsWith, text, utf8 } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import { MAX_KEY_BYTES } from "../../base/limits.ts";
import type { KeyValue, Operation } from "../../engine/model.ts";
import { PERMISSION_TYPES, type Permission, type Role, type User } from "./auth-model.ts";

export const AUTH_REVISION_KEY: Bytes = utf8("\0auth/revision");

const PREFIXES = { user: "\0auth/user/", role: "\0auth/role/" } as const;
export type AuthKind = keyof typeof PREFIXES;

const FIRST_REVISION = 1;

const revisionRecord = z.object({ revision: z.number() });
const userRecord = z.object({ noPassword: z.boolean(), roles: z.array(z.string()) });
const permissionRecord = z.object({ type: z.enum(PERMISSION_TYPES), key: z.base64(), end: z.base64() });
const roleRecord = z.object({ permissions: z.array(permissionRecord) });

/** The key of a user or role. */
export function authKey(kind: AuthKind, name: string): Bytes {
  return utf8(PREFIXES[kind] + name);
}

/** The keys of all users, or of all roles; in order of the names' bytes. */
export function authRange(kind: AuthKind): { readonly key: Bytes; readonly end: Bytes | null } {
  const key = utf8(PREFIXES[kind]);
  return { key, end: prefixEnd(key) };
}

/** Whether it is the key of a user, or of a role. */
export function isAuthKey(kind: AuthKind, key: Bytes): boolean {
  return startsWith(key, utf8(PREFIXES[kind]));
}

/** Whose key it is, within `authRange`. */
export function authName(kind: AuthKind, key: Bytes): string {
  return text(key.subarray(PREFIXES[kind].length));
}

/** Error: `keyTooLong`, for a name of more bytes than a key has room for. */
export function mustFit(kind: AuthKind, name: string): void {
  const most = MAX_KEY_BYTES - PREFIXES[kind].length;
  const bytes = utf8(name).length;
  if (bytes <= most) return;
  throw new MusterError("keyTooLong", `Use a shorter name for the ${kind}: it has ${bytes} bytes, at most ${most} fit`);
}

/** Error: `tooLarge`. */
export function putUser(name: string, user: User): Operation {
  return put(authKey("user", name), user);
}

/** Error: `tooLarge`. */
export function putRole(name: string, { permissions }: Role): Operation {
  const written = permissions.map(({ type, key, end }) => ({ type, key: base64(key), end: base64(end) }));
  return put(authKey("role", name), { permissions: written });
}

export function putAuthRevision(revision: number): Operation {
  return put(AUTH_REVISION_KEY, { revision });
}

/** What takes a user or role out. */
export function dropAuth(kind: AuthKind, name: string): Operation {
  return { kind: "deleteRange", request: { key: authKey(kind, name) } };
}

/** Error: `internal`, where the record cannot be read. */
export function readUser(record: KeyValue): User {
  return readJson(userRecord, record);
}

/** Error: `internal`, where the record cannot be read. */
export function readRole(record: KeyValue): Role {
  const { permissions } = readJson(roleRecord, record);
  const bytes = (base64Text: string) => Buffer.from(base64Text, "base64");
  return {
    permissions: permissions.map(({ type, key, end }): Permission => ({ type, key: bytes(key), end: bytes(end) })),
  };
}

/** Error: `internal`, where the record cannot be read. */
export function readAuthRevision(record: KeyValue | undefined): number {
  return record === undefined ? FIRST_REVISION : readJson(revisionRecord, record).revision;
}

function base64(bytes: Bytes): string {
  return Buffer.from(bytes).toString("base64");
}

function put(key: Bytes, record: object): Operation {
  const value = utf8(JSON.stringify(record));
  if (value.length <= AUTH_RECORD_BYTES) return { kind: "put", request: { key, value } };
  throw new MusterError(
    "tooLarge",
    `Grant less: the record of a user or role has at most ${AUTH_RECORD_BYTES} bytes, with this it has ${value.length}`,
  );
}

function readJson<T>(schema: z.ZodType<T>, record: KeyValue): T {
  try {
    return schema.parse(JSON.parse(text(record.value)));
  } catch (cause) {
    const name = JSON.stringify(text(record.key));
    throw new MusterError("internal", `Report this defect: a user's or role's record cannot be read: ${name}`, {
      cause,
    });
  }
}
