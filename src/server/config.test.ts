import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isMusterError } from "../base/errors.ts";
import { loadConfig } from "./config.ts";
import { OPTION_NAMES, OPTION_TEXTS, STORE_OPTION_NAMES } from "./config-options.ts";
import type { ConfigSources } from "./config-sources.ts";

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "muster-config-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

function file(text: string): string {
  const path = join(directory, "muster.yaml");
  writeFileSync(path, text);
  return path;
}

function tlsFile(name: string): string {
  return resolve(import.meta.dirname, "../../test/support/tls", name);
}

function load(sources: Partial<ConfigSources>) {
  return loadConfig({ flags: {}, env: {}, ...sources });
}

function refusal(sources: Partial<ConfigSources>): string {
  try {
    load(sources);
  } catch (error) {
    if (isMusterError(error, "configInvalid")) return error.message;
    throw error;
  }
  throw new Error("the configuration was taken");
}

describe("loadConfig: values", () => {
  test("loadConfig: nothing given, the defaults apply", () => {
    expect(load({})).toEqual({
      listen: [{ host: "127.0.0.1", port: 8087, text: "127.0.0.1:8087" }],
      clientListen: [{ host: "127.0.0.1", port: 8088, text: "127.0.0.1:8088" }],
      store: { kind: "embedded", dataDir: join(process.cwd(), "muster-data") },
      publicUrl: undefined,
      tokenTtlMs: 604_800_000,
      trustProxy: false,
      clientAllowedHosts: [],
      advertiseClientUrls: [],
      autoCompactionRetentionMs: 3_600_000,
      autoCompactionRevisions: 10_000,
      maxConnections: 10_000,
      maxRequestBytes: 1_572_864,
      tls: undefined,
      logLevel: "info",
      logFormat: "auto",
    });
  });

  test("loadConfig: every option can come from flag, variable and file alike", () => {
    const values: Record<string, string> = {
      listen: "[::1]:0,:8000",
      "client-listen": "127.0.0.1:0",
      "data-dir": "/var/lib/muster",
      "public-url": "https://discovery.example.com/etcd/",
      "token-ttl": "1h30m",
      "trust-proxy": "true",
      "client-allowed-host": "Muster.example.com,other",
      "advertise-client-urls": "http://10.0.0.5:8088/,https://etcd.example.com",
      "auto-compaction-retention": "0",
      "auto-compaction-revisions": "5",
      "max-connections": "7",
      "max-request-bytes": "2048",
      "tls-cert": tlsFile("cert.pem"),
      "tls-key": tlsFile("key.pem"),
      "log-level": "debug",
      "log-format": "json",
    };
    // Those of another store exclude --data-dir: store-config.test.ts has them.
    const others = STORE_OPTION_NAMES.filter((name) => name !== "data-dir");
    expect([...Object.keys(values), ...others].sort()).toEqual([...OPTION_NAMES].sort());
    const expected = {
      listen: [
        { host: "::1", port: 0, text: "[::1]:0" },
        { port: 8000, text: ":8000" },
      ],
      clientListen: [{ host: "127.0.0.1", port: 0, text: "127.0.0.1:0" }],
      store: { kind: "embedded", dataDir: "/var/lib/muster" },
      publicUrl: "https://discovery.example.com/etcd",
      tokenTtlMs: 5_400_000,
      trustProxy: true,
      clientAllowedHosts: ["muster.example.com", "other"],
      advertiseClientUrls: ["http://10.0.0.5:8088", "https://etcd.example.com"],
      autoCompactionRetentionMs: 0,
      autoCompactionRevisions: 5,
      maxConnections: 7,
      maxRequestBytes: 2_048,
      tls: { cert: readFileSync(tlsFile("cert.pem")), key: readFileSync(tlsFile("key.pem")) },
      logLevel: "debug",
      logFormat: "json",
    };
    const entries = Object.entries(values);
    const flags = Object.fromEntries(entries.map(([name, value]) => [name, value.split(",")]));
    const env = Object.fromEntries(
      entries.map(([name, value]) => [`MUSTER_${name.toUpperCase().replaceAll("-", "_")}`, value]),
    );
    const lines = entries.map(
      ([name, value]) => `${name}: ${OPTION_TEXTS[name as "listen"].repeatable ? list(value) : value}`,
    );
    expect(load({ flags })).toEqual(expected);
    expect(load({ env })).toEqual(expected);
    expect(load({ flags: { config: [file(lines.join("\n"))] } })).toEqual(expected);
  });

  test("loadConfig: a flag stands above the variable, that above the file, that above the default", () => {
    const MUSTER_CONFIG = file(
      "token-ttl: 1h\nlog-level: warn\nmax-connections: 3\nlisten: [127.0.0.1:1, 127.0.0.1:2]",
    );
    const config = load({
      flags: { "token-ttl": ["3h"], listen: ["127.0.0.1:9"] },
      env: { MUSTER_CONFIG, MUSTER_TOKEN_TTL: "2h", MUSTER_LOG_LEVEL: "error" },
    });
    expect(config).toMatchObject({ tokenTtlMs: 10_800_000, logLevel: "error", maxConnections: 3, logFormat: "auto" });
    expect(config.listen.map(({ text }) => text)).toEqual(["127.0.0.1:9"]);
  });

  test("loadConfig: the --config flag stands above MUSTER_CONFIG", () => {
    const env = { MUSTER_CONFIG: "/nowhere.yaml" };
    expect(load({ flags: { config: [file("log-level: warn")] }, env }).logLevel).toBe("warn");
  });

  test("loadConfig: empty variables, keys without a value and an empty file count as not given", () => {
    const MUSTER_CONFIG = file("public-url:\nlog-level:\n");
    expect(load({ env: { MUSTER_CONFIG, MUSTER_PUBLIC_URL: "", MUSTER_DATA_DIR: "" } })).toEqual(load({}));
    expect(load({ env: { MUSTER_CONFIG: file("# nothing") } })).toEqual(load({}));
  });

  test("loadConfig: of an option that takes one value the last one given counts", () => {
    expect(load({ flags: { "log-level": ["warn", "error"] } }).logLevel).toBe("error");
  });

  test("loadConfig: what Kubernetes sets for a Service named muster, and what our tests use, is no option", () => {
    const env = {
      MUSTER_SERVICE_HOST: "10.0.0.1",
      MUSTER_SERVICE_PORT: "8087",
      MUSTER_SERVICE_PORT_HTTP: "8087",
      MUSTER_PORT: "tcp://10.0.0.1:8087",
      MUSTER_PORT_8087_TCP: "tcp://10.0.0.1:8087",
      MUSTER_PORT_8087_TCP_PROTO: "tcp",
      MUSTER_CLIENT_SERVICE_HOST: "10.0.0.2",
      MUSTER_CLIENT_PORT_8088_TCP_ADDR: "10.0.0.2",
      MUSTER_TEST_ETCD: "/usr/bin/etcd",
    };
    expect(load({ env })).toEqual(load({}));
  });
});

describe("loadConfig: errors", () => {
  test.each([
    ["listen", "8087"],
    ["listen", "127.0.0.1"],
    ["listen", "127.0.0.1:70000"],
    ["listen", "::1:8087"],
    ["listen", "http://127.0.0.1:8087"],
    ["listen", ""],
    ["client-listen", "nope"],
    ["data-dir", ""],
    ["public-url", "discovery.example.com"],
    ["public-url", "ftp://discovery.example.com"],
    ["public-url", "https://a.example?x=1"],
    ["public-url", "https://a.example?"],
    ["public-url", "https://a.example/#x"],
    ["public-url", "https://user:pw@a.example"],
    ["token-ttl", "7d"],
    ["token-ttl", "-1h"],
    ["token-ttl", "9999999h"],
    ["trust-proxy", "yes"],
    ["trust-proxy", "constructor"],
    ["trust-proxy", "__proto__"],
    ["client-allowed-host", "a.example:80"],
    ["client-allowed-host", "*"],
    ["auto-compaction-retention", "1"],
    ["auto-compaction-revisions", "-1"],
    ["auto-compaction-revisions", "1e4"],
    ["max-connections", "0"],
    ["max-connections", "many"],
    ["max-request-bytes", "10"],
    ["data-dir", "a\0b"],
    ["log-level", "loud"],
    ["log-format", "xml"],
  ] as const)("loadConfig: --%s %j is refused in one line with option, value and what it takes", (name, value) => {
    const message = refusal({ flags: { [name]: [value] } });
    expect(message).toBe(`Set --${name} to ${OPTION_TEXTS[name].takes}: got "${value}"`);
    expect(message).not.toContain("\n");
  });

  test("loadConfig: an error names the one wrong value among several", () => {
    expect(refusal({ flags: { listen: ["127.0.0.1:1", "wrong"] } })).toContain('got "wrong"');
  });

  test("loadConfig: an error names the option as it was given", () => {
    expect(refusal({ env: { MUSTER_TOKEN_TTL: "7d" } })).toMatch(/^Set MUSTER_TOKEN_TTL to a duration .*: got "7d"$/);
    const path = file("token-ttl: 7d");
    expect(refusal({ env: { MUSTER_CONFIG: path } })).toContain(`Set "token-ttl" in ${path} to a duration`);
  });

  test("loadConfig: an unknown variable is refused, with the name that was meant", () => {
    expect(refusal({ env: { MUSTER_LISTN: "x" } })).toBe(
      "Remove the environment variable MUSTER_LISTN: no such option; did you mean MUSTER_LISTEN?",
    );
    expect(refusal({ env: { MUSTER_REPLICAS: "x" } })).toContain("run muster serve --help");
  });

  test("loadConfig: an unknown key of the file is refused, with the name that was meant", () => {
    const path = file("tokn-ttl: 1h");
    expect(refusal({ flags: { config: [path] } })).toBe(
      `Remove "tokn-ttl" in ${path}: no such option; did you mean token-ttl?`,
    );
  });

  test.each([
    ["not there", undefined, /^Name a readable YAML file with --config: ".*": ENOENT/],
    ["not YAML", "listen: [", /^Name a readable YAML file with --config: ".*": Flow sequence/],
    ["a key twice", "log-level: info\nlog-level: warn", /Map keys must be unique/],
    ["a list at the top", "- a", /^Write "key: value" lines in the configuration file/],
    ["a mapping as value", "listen: {a: b}", /^Write a value or a list of values under "listen"/],
    ["a list for a single value", "log-level: [info, warn]", /^Give "log-level" in .* one value: got a list of 2$/],
    ["an empty list where one is needed", "listen: []", /^Set "listen" in .* to an address/],
  ])("loadConfig: a file that is wrong is refused: %s", (_what, text, message) => {
    const path = text === undefined ? join(directory, "absent.yaml") : file(text);
    const said = refusal({ flags: { config: [path] } });
    expect(said).toMatch(message);
    expect(said).not.toContain("\n");
  });

  test("loadConfig: one address for two listeners is refused", () => {
    const flags = { listen: ["127.0.0.1:9"], "client-listen": ["127.0.0.1:9"] };
    expect(refusal({ flags })).toContain('"127.0.0.1:9" is there twice');
    expect(load({ flags: { listen: ["127.0.0.1:0"], "client-listen": ["127.0.0.1:0"] } }).listen).toHaveLength(1);
  });
});

function list(value: string): string {
  return JSON.stringify(value.split(","));
}
