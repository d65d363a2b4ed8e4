import { resolve } from "node:path";
import { expect, test } from "vitest";
import { loadConfig } from "./config.ts";
import { warningsOf } from "./warnings.ts";

const tlsFile = (name: string) => resolve(import.meta.dirname, "../../test/support/tls", name);
const TLS = { "tls-cert": [tlsFile("cert.pem")], "tls-key": [tlsFile("key.pem")] };

function warnings(flags: Readonly<Record<string, readonly string[]>>): readonly string[] {
  return warningsOf(loadConfig({ flags, env: {} }));
}

test.each([[[]], [["127.0.0.1:9"]], [["[::1]:9", "localhost:10"]], [["127.1.2.3:9"]]])(
  "warningsOf: client listeners %j are only for this machine",
  (addresses) => {
    expect(warnings(addresses.length === 0 ? {} : { "client-listen": addresses })).toEqual([]);
  },
);

test.each([":9188", "0.0.0.0:9", "[::]:9", "10.0.0.5:9", "muster.example.com:9"])(
  "warningsOf: a client listener at %s, which others may reach, is named",
  (address) => {
    expect(warnings({ "client-listen": ["127.0.0.1:9", address] })).toEqual([
      expect.stringContaining(`machines that you trust reach --client-listen ${address}: `),
    ]);
  },
);

test("warningsOf: a public URL in clear is doubtful where every listener speaks TLS", () => {
  const publicUrl = { "public-url": ["http://d.example"] };
  expect(warnings(publicUrl)).toEqual([]);
  expect(warnings({ ...TLS, "public-url": ["https://d.example"] })).toEqual([]);
  expect(warnings({ ...TLS, ...publicUrl })).toEqual([expect.stringContaining("a proxy answers at http://d.example:")]);
});

test("warningsOf: over an etcd, where others may serve too, a public URL is wanted", () => {
  const store = ["etcd://127.0.0.1:2379"];
  expect(warnings({ store })).toEqual([expect.stringContaining("the same --public-url")]);
  expect(warnings({ store, "public-url": ["http://discovery.example"] })).toEqual([]);
});
