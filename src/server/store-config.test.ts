import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isMusterError } from "../base/errors.ts";
import { loadConfig, loadStoreConfig } from "./config.ts";
import { describeStore } from "./store-config.ts";

const CERT = resolve(import.meta.dirname, "../../test/support/tls/cert.pem");
const KEY = resolve(import.meta.dirname, "../../test/support/tls/key.pem");
const STORE = "etcd://10.0.0.1:2379,10.0.0.2";

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "muster-store-config-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

type Texts = Readonly<Record<string, string>>;

function flagsOf(texts: Texts) {
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, [text]]));
}

function load(flags: Texts, env: Texts = {}) {
  return loadConfig({ flags: flagsOf(flags), env });
}

function refusal(flags: Texts, env: Texts = {}): string {
  try {
    load(flags, env);
  } catch (error) {
    if (isMusterError(error, "configInvalid")) return error.message;
    throw error;
  }
  throw new Error("the configuration was taken");
}

describe("storeConfig: an etcd", () => {
  test("storeConfig: hosts alone: in clear, the whole of it, nothing compacted", () => {
    const { store, autoCompactionRetentionMs } = load({ store: STORE });
    expect(store).toEqual({ kind: "etcd", endpoints: ["10.0.0.1:2379", "10.0.0.2:2379"], prefix: "" });
    expect(autoCompactionRetentionMs).toBe(0);
  });

  test("storeConfig: every option can come from flag, variable and file alike", () => {
    const values: Texts = {
      store: "etcds://etcd.example.com",
      "store-prefix": "/muster/",
      "store-ca": CERT,
      "store-cert": CERT,
      "store-key": KEY,
      "store-user": "muster",
      "store-password-file": file("password", "se cret\n"),
    };
    const expected = {
      kind: "etcd",
      endpoints: ["etcd.example.com:2379"],
      prefix: "/muster/",
      tls: { ca: readFileSync(CERT), cert: readFileSync(CERT), key: readFileSync(KEY) },
      user: { name: "muster", password: "se cret" },
    };
    const entries = Object.entries(values);
    const env = Object.fromEntries(
      entries.map(([name, text]) => [`MUSTER_${name.toUpperCase().replaceAll("-", "_")}`, text]),
    );
    const yaml = file("muster.yaml", entries.map(([name, text]) => `${name}: ${text}`).join("\n"));
    expect(load(values).store).toEqual(expected);
    expect(load({}, env).store).toEqual(expected);
    expect(load({ config: yaml }).store).toEqual(expected);
  });

  test("storeConfig: etcds:// alone is TLS with the well-known roots", () => {
    expect(load({ store: "etcds://h1" }).store).toEqual({ kind: "etcd", endpoints: ["h1:2379"], tls: {}, prefix: "" });
  });

  test("storeConfig: over an etcd that is Muster's alone history is compacted where one of the options asks for it", () => {
    expect(load({ store: STORE, "auto-compaction-revisions": "5" })).toMatchObject({
      autoCompactionRetentionMs: 3_600_000,
      autoCompactionRevisions: 5,
    });
    expect(load({ store: STORE }, { MUSTER_AUTO_COMPACTION_RETENTION: "2h" }).autoCompactionRetentionMs).toBe(
      7_200_000,
    );
    expect(load({ store: STORE, "auto-compaction-retention": "0" }).autoCompactionRetentionMs).toBe(0);
  });

  test("describeStore: names the endpoints and the prefix, or the directory", () => {
    expect(describeStore(load({ store: STORE, "store-prefix": "/m/" }).store)).toBe(
      'the etcd at 10.0.0.1:2379, 10.0.0.2:2379, below "/m/"',
    );
    expect(describeStore(load({ "data-dir": "/srv/muster" }).store)).toBe("/srv/muster");
  });

  test("loadStoreConfig: takes the store from what serve has, and still finds slips", () => {
    const config = file("serve.yaml", "data-dir: /srv/muster\nlisten: [10.0.0.5:8087]\ntoken-ttl: 72h\n");
    const env = { MUSTER_LOG_LEVEL: "debug" };
    expect(loadStoreConfig({ flags: { config: [config] }, env })).toEqual({ kind: "embedded", dataDir: "/srv/muster" });
    expect(() => loadStoreConfig({ flags: {}, env: { MUSTER_STOER: "x" } })).toThrow("did you mean MUSTER_STORE?");
  });
});

describe("storeConfig: errors", () => {
  test.each([
    ["h1:2379", 'got "h1:2379"'],
    ["http://h1:2379", 'got "http://h1:2379"'],
    ["etcd://", 'got "etcd://"'],
    ["etcd://root:secret@h1", 'got "etcd://…@h1"'],
  ])("storeConfig: --store %s is refused, in one line that holds no password", (store, end) => {
    const message = refusal({ store });
    expect(message).toMatch(
      /^Set --store to etcd:\/\/ \(in clear\) or etcds:\/\/ \(TLS\) and hosts, such as .*: got ".*"$/,
    );
    expect(message.endsWith(end)).toBe(true);
  });

  test.each(["", "/muster", "muster", "a\0/", `${"a".repeat(256)}/`])(
    "storeConfig: the prefix %j is refused",
    (text) => {
      expect(refusal({ store: STORE, "store-prefix": text })).toMatch(
        /^Set --store-prefix to a text .* ends with "\/"/,
      );
    },
  );

  test("storeConfig: two stores are refused, as they were given", () => {
    expect(refusal({ store: STORE }, { MUSTER_DATA_DIR: "/srv" })).toBe(
      "Leave out MUSTER_DATA_DIR, or --store: the keys are in one or the other",
    );
    expect(refusal({ "data-dir": "/srv" }, { MUSTER_STORE: STORE })).toContain(
      "Leave out --data-dir, or MUSTER_STORE:",
    );
  });

  test.each(["prefix", "ca", "cert", "key", "user", "password-file"])(
    "storeConfig: --store-%s without --store is refused",
    (name) => {
      const text = name === "prefix" ? "/m/" : KEY;
      expect(refusal({ [`store-${name}`]: text })).toBe(
        `Give --store too: --store-${name} is for the etcd that it names`,
      );
    },
  );

  test.each(["ca", "cert", "key"])("storeConfig: --store-%s in clear is refused", (name) => {
    expect(refusal({ [`store-${name}`]: CERT }, { MUSTER_STORE: STORE })).toBe(
      `Begin MUSTER_STORE with etcds://: --store-${name} is for TLS, and etcd:// is in clear`,
    );
  });

  test.each([
    ["cert", "key", CERT],
    ["key", "cert", KEY],
    ["user", "password-file", "muster"],
    ["password-file", "user", CERT],
  ])("storeConfig: --store-%s without --store-%s is refused", (given, missing, text) => {
    expect(refusal({ store: "etcds://h1", [`store-${given}`]: text })).toBe(
      `Give --store-${missing} too: --store-${given} stands alone`,
    );
  });

  test("storeConfig: files that are not there, or not what they should be, are named", () => {
    const nowhere = join(directory, "nowhere.pem");
    const words = file("words.txt", "no PEM\n");
    const broken = file("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    const store = "etcds://h1";
    expect(refusal({ store, "store-ca": nowhere })).toMatch(/^Name a readable file with --store-ca: ".*": ENOENT/);
    expect(refusal({ store, "store-ca": words })).toBe(`Name a PEM file with --store-ca: "${words}" is none`);
    expect(refusal({ store, "store-ca": broken })).toMatch(/^Give --store-ca a certificate in PEM: /);
    expect(refusal({ store, "store-cert": CERT, "store-key": CERT })).toMatch(/^Give --store-key a private key in PEM/);
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const other = file("other.pem", privateKey.export({ type: "pkcs8", format: "pem" }).toString());
    expect(refusal({ store, "store-cert": CERT, "store-key": other })).toBe(
      "Give --store-key the key of --store-cert: it is another's",
    );
  });

  test.each([
    ["empty", "\n", "none"],
    ["two lines", "a\nb\n", "more"],
  ])("storeConfig: a password file of %s is refused", (_what, text, state) => {
    const path = file("wrong-password", text);
    expect(refusal({ store: STORE, "store-user": "muster", "store-password-file": path })).toBe(
      `Write one line, the password, in the file of --store-password-file: "${path}" has ${state}`,
    );
  });

  test.each(["retention", "revisions"])("storeConfig: --auto-compaction-%s is refused in an etcd of others", (name) => {
    const text = name === "retention" ? "1h" : "5";
    expect(refusal({ store: STORE, "store-prefix": "/m/", [`auto-compaction-${name}`]: text })).toContain(
      `Leave out --auto-compaction-${name}: with --store-prefix the etcd belongs to others too`,
    );
  });
});
