import { resolve } from "node:path";
import { expect, test } from "vitest";
import { utf8 } from "../base/bytes.ts";
import { MusterError } from "../base/errors.ts";
import { createLog } from "../base/log.ts";
import type { Engine } from "../engine/engine.ts";
import { openMemoryEngine } from "../engine/memory/memory-engine.ts";
import { loadConfig } from "./config.ts";
import type { StoreConfig } from "./store-config.ts";
import { warningsOf, warningsOfStore } from "./warnings.ts";

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

const WHOLE_ETCD: StoreConfig = { kind: "etcd", endpoints: ["127.0.0.1:2379"], prefix: "" };

/** What is told of a store in which these keys are, and what is logged. */
async function told(store: StoreConfig, keys: readonly string[], range?: Engine["range"]) {
  const engine = openMemoryEngine();
  const lines: string[] = [];
  const log = createLog({ level: "debug", format: "json", destination: { write: (line) => lines.push(line) } });
  try {
    for (const key of keys) {
      const put = { kind: "put", request: { key: utf8(key), value: utf8("v") } } as const;
      await engine.txn({ compares: [], success: [put], failure: [] });
    }
    const asked = { range: range ?? ((request) => engine.range(request)) } satisfies Pick<Engine, "range">;
    return { warnings: await warningsOfStore({ store, engine: asked, log }), lines };
  } finally {
    await engine.close();
  }
}

test.each([[["/registry/pods/a"]], [["a", "\x01"]], [["/muster/\0a", "/muster/\0p1"]]])(
  "warningsOfStore: an etcd without a prefix that holds the keys %j only is perhaps not Muster's",
  async (keys) => {
    const { warnings, lines } = await told(WHOLE_ETCD, keys);
    expect(warnings).toEqual([expect.stringMatching(/^Give --store-prefix, unless .* are meant to be Muster's too: /)]);
    expect(lines).toEqual([]);
  },
);

test.each([
  ["is empty", []],
  ["holds records of Muster beside keys", ["/registry/pods/a", "\0p0123456789abcdef"]],
  ["holds what an import left beside keys", ["a", "\0store/offset"]],
])("warningsOfStore: an etcd without a prefix that %s is nothing to speak of", async (_what, keys) => {
  expect(await told(WHOLE_ETCD, keys)).toEqual({ warnings: [], lines: [] });
});

test.each([
  ["an etcd with a prefix", { ...WHOLE_ETCD, prefix: "/muster/" }],
  ["the embedded store", { kind: "embedded", dataDir: "/nowhere" }],
] satisfies [string, StoreConfig][])("warningsOfStore: %s is Muster's own, and not read", async (_what, store) => {
  const range = () => Promise.reject(new Error("it was read"));
  expect(await told(store, ["a"], range)).toEqual({ warnings: [], lines: [] });
});

test("warningsOfStore: a store that cannot be read is logged, and no failure", async () => {
  const range = () => Promise.reject(new MusterError("storeUnavailable", "Look after etcd: it is away"));
  const { warnings, lines } = await told(WHOLE_ETCD, ["a"], range);
  expect(warnings).toEqual([]);
  expect(lines).toEqual([expect.stringMatching(/"level":"warn".*it is away/)]);
});
