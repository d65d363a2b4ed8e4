import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, expect, test } from "vitest";
import { isMusterError } from "../base/errors.ts";
import { tlsKeys } from "./tls-keys.ts";

const cert = resolve(import.meta.dirname, "../../test/support/tls/cert.pem");
const key = resolve(import.meta.dirname, "../../test/support/tls/key.pem");

const directory = mkdtempSync(join(tmpdir(), "muster-tls-"));
afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, content: string | Buffer): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

function refusal(certFile: string | undefined, keyFile: string | undefined): string {
  try {
    tlsKeys(certFile, keyFile);
  } catch (error) {
    if (isMusterError(error, "configInvalid")) return error.message;
    throw error;
  }
  throw new Error("the keys were taken");
}

test("tlsKeys: both files are read, or neither", () => {
  expect(tlsKeys(undefined, undefined)).toBeUndefined();
  expect(tlsKeys(cert, key)).toEqual({ cert: readFileSync(cert), key: readFileSync(key) });
});

test("tlsKeys: one without the other is refused by name", () => {
  expect(refusal(cert, undefined)).toBe("Give --tls-key too: --tls-cert stands alone");
  expect(refusal(undefined, key)).toBe("Give --tls-cert too: --tls-key stands alone");
});

test("tlsKeys: the file that cannot be used is refused by name", () => {
  expect(refusal("/nowhere.pem", key)).toContain('Name a readable PEM file with --tls-cert: "/nowhere.pem"');
  expect(refusal(cert, "/nowhere.pem")).toContain('Name a readable PEM file with --tls-key: "/nowhere.pem"');
  expect(refusal(key, key)).toContain(`Give --tls-cert a certificate in PEM, not "${key}": `);
  expect(refusal(cert, cert)).toContain(`Give --tls-key a private key in PEM without a passphrase, not "${cert}": `);
});

test("tlsKeys: a certificate in DER is refused, and one that is cut off", () => {
  const der = file("cert.der", new X509Certificate(readFileSync(cert)).raw);
  const cut = file("cut.pem", readFileSync(cert).subarray(0, 300));
  for (const wrong of [der, cut]) {
    expect(refusal(wrong, key)).toContain(`Give --tls-cert a certificate in PEM, not "${wrong}": `);
  }
});

test.each([
  ["the same type", () => generateKeyPairSync("ec", { namedCurve: "P-256" })],
  ["another type", () => generateKeyPairSync("rsa", { modulusLength: 2048 })],
])("tlsKeys: a key of %s that is another certificate's is refused", (_type, generate) => {
  const other = file("other.pem", generate().privateKey.export({ type: "pkcs8", format: "pem" }));
  const message = `Give --tls-key the key of the certificate in "${cert}": the one in "${other}" is another's`;
  expect(refusal(cert, other)).toBe(message);
});

test.each(["pkcs8", "sec1"] as const)("tlsKeys: a key with a passphrase is refused, in the form of %s", (type) => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const locked = file("locked.pem", privateKey.export({ type, format: "pem", cipher: "aes-256-cbc", passphrase: "x" }));
  const message = `Give --tls-key a private key in PEM without a passphrase, not "${locked}": it has one`;
  expect(refusal(cert, locked)).toBe(message);
});

test("tlsKeys: certificate and key may be in one file", () => {
  const both = file("both.pem", Buffer.concat([readFileSync(key), readFileSync(cert)]));
  expect(tlsKeys(both, both)).toBeDefined();
});
