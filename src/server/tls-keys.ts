/** The certificate and key that listeners speak TLS with. */
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { MusterError } from "../base/errors.ts";

export interface TlsKeys {
  /** PEM: the certificate, and behind it those between it and the root. */
  readonly cert: Buffer;
  /** PEM, without a passphrase. */
  readonly key: Buffer;
}

/**
 * Reads both files; undefined where neither is given. Throws `configInvalid` where only one is, one cannot be read, or
 * they are no pair.
 */
export function tlsKeys(certFile: string | undefined, keyFile: string | undefined): TlsKeys | undefined {
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile === undefined) throw new MusterError("configInvalid", "Give --tls-cert too: --tls-key stands alone");
  if (keyFile === undefined) throw new MusterError("configInvalid", "Give --tls-key too: --tls-cert stands alone");
  const keys = { cert: read("--tls-cert", certFile), key: read("--tls-key", keyFile) };
  try {
    createSecureContext(keys);
  } catch (cause) {
    const message = `Give --tls-cert and --tls-key a certificate and its key, both PEM: "${certFile}" and "${keyFile}" are none: ${reason(cause)}`;
    throw new MusterError("configInvalid", message, { cause });
  }
  return keys;
}

function read(option: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    const message = `Name a readable PEM file with ${option}: "${path}": ${reason(cause)}`;
    throw new MusterError("configInvalid", message, { cause });
  }
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
