/**
 * What etcd finds wrong with passwords, where it hashes or reads them: none is kept here, but a client is to be told of
 * its mistakes as there.
 */
import { utf8 } from "../../base/bytes.ts";
import { etcdError } from "./errors.ts";

/** Beyond it bcrypt, by which etcd keeps passwords, refuses them. */
const MAX_PASSWORD_BYTES = 72;

/** Go's base64.StdEncoding, which passes over ends of lines. */
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Refuses a password that is too long to be hashed. */
export function mustBeHashable(password: string): void {
  if (utf8(password).length > MAX_PASSWORD_BYTES) throw etcdError("passwordTooLong");
}

/** Whether a password is given, or else what can be a hash of one; none at all can. */
export function isReadable(given: { readonly password: string; readonly hashedPassword: string }): boolean {
  return given.password !== "" || BASE64.test(given.hashedPassword.replace(/[\r\n]/g, ""));
}
