import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { isMusterError } from "../base/errors.ts";
import { tlsKeys } from "./tls-keys.ts";

const cert = resolve(import.meta.dirname, "../../test/support/tls/cert.pem");
const key = resolve(import.meta.dirname, "../../test/support/tls/key.pem");

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

test("tlsKeys: a file that cannot be read and files that are no pair are refused by name", () => {
  expect(refusal("/nowhere.pem", key)).toContain('Name a readable PEM file with --tls-cert: "/nowhere.pem"');
  expect(refusal(key, key)).toContain("a certificate and its key, both PEM");
});
