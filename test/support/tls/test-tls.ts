/** The key and certificate that test servers speak TLS with, for localhost and 127.0.0.1. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const file = (name: string): Buffer => readFileSync(join(import.meta.dirname, name));

export const testTls = { cert: file("cert.pem"), key: file("key.pem") };
