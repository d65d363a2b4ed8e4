/** The certificate and key that listeners speak TLS with. */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
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
 * Reads both files; undefined where neither is given. Throws `configInvalid`, which names the file at fault, where only
 * one is given, one cannot be read or used, or they are no pair.
 */
export function tlsKeys(certFile: string | undefined, keyFile: string | undefined): TlsKeys | undefined {
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile === undefined) throw new MusterError("configInvalid", "Give --tls-cert too: --tls-key stands alone");
  if (keyFile === undefined) throw new MusterError("configInvalid", "Give --tls-key too: --tls-cert stands alone");
  const cert = read("--tls-cert", certFile);
  const key = read("--tls-key", keyFile);
  const certificate = certificateOf(cert, certFile);
  if (!certificate.checkPrivateKey(privateKeyOf(key, keyFile))) {
    const message = `Give --tls-key the key of the certificate in "${certFile}": the one in "${keyFile}" is another's`;
    throw new MusterError("configInvalid", message);
  }
  mustServe({ cert, key }, `Give --tls-cert and --tls-key others than "${certFile}" and "${keyFile}"`);
  return { cert, key };
}

/** The first certificate of a file, which is the listeners' own. */
function certificateOf(cert: Buffer, file: string): X509Certificate {
  const what = `Give --tls-cert a certificate in PEM, not "${file}"`;
  // One in DER can be read, but not be served.
  mustServe({ cert }, what);
  try {
    return new X509Certificate(cert);
  } catch (cause) {
    throw new MusterError("configInvalid", `${what}: ${reason(cause)}`, { cause });
  }
}

function privateKeyOf(key: Buffer, file: string): KeyObject {
  try {
    return createPrivateKey(key);
  } catch (cause) {
    const state = ENCRYPTED.test(key.toString("latin1")) ? "it has one" : reason(cause);
    const message = `Give --tls-key a private key in PEM without a passphrase, not "${file}": ${state}`;
    throw new MusterError("configInvalid", message, { cause });
  }
}

/** How PEM says that a key has a passphrase: PKCS #8, and OpenSSL's older form. */
const ENCRYPTED = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m;

function mustServe(keys: Partial<TlsKeys>, what: string): void {
  try {
    createSecureContext(keys);
  } catch (cause) {
    throw new MusterError("configInvalid", `${what}: ${reason(cause)}`, { cause });
  }
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
