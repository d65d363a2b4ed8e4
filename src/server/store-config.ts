/** Where the keys are: in a directory of this process, or in an etcd cluster; of the options, what belongs together. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { MusterError } from "../base/errors.ts";
import type { OptionName, StoreOptions } from "./config-options.ts";

export type StoreConfig = EmbeddedStoreConfig | EtcdStoreConfig;

export interface EmbeddedStoreConfig {
  readonly kind: "embedded";
  /** Absolute. */
  readonly dataDir: string;
}

export interface EtcdStoreConfig {
  readonly kind: "etcd";
  /** `host:port` each. */
  readonly endpoints: readonly string[];
  /** Absent: in clear. Without `ca`, the roots that Node.js comes with. */
  readonly tls?: EtcdTls;
  readonly user?: { readonly name: string; readonly password: string };
  /** What every key begins with; empty: all of the etcd is Muster's. */
  readonly prefix: string;
}

/** PEM; the key without a passphrase. */
interface EtcdTls {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

/** How whoever gave an option calls it (flag, variable or key of the file); undefined where nobody did. */
export type OriginOf = (name: OptionName) => string | undefined;

/** The store that the options name. Throws `configInvalid` where they contradict each other, or a file is not what it should be. */
export function storeConfig(options: StoreOptions, originOf: OriginOf): StoreConfig {
  const { store } = options;
  if (store === undefined) {
    refuseWithoutStore(originOf);
    return { kind: "embedded", dataDir: options["data-dir"] };
  }
  const directory = originOf("data-dir");
  if (directory !== undefined) {
    throw refused(`Leave out ${directory}, or ${named("store", originOf)}: the keys are in one or the other`);
  }
  const tls = store.isSecure ? tlsOf(options, originOf) : refuseTls(originOf);
  const user = userOf(options, originOf);
  return {
    kind: "etcd",
    endpoints: store.endpoints,
    ...(tls === undefined ? {} : { tls }),
    ...(user === undefined ? {} : { user }),
    prefix: options["store-prefix"] ?? "",
  };
}

/** In words, for people: where the keys are. */
export function describeStore(store: StoreConfig): string {
  if (store.kind === "embedded") return store.dataDir;
  const below = store.prefix === "" ? "" : `, below "${store.prefix}"`;
  return `the etcd at ${store.endpoints.join(", ")}${below}`;
}

const TLS_OPTIONS = ["store-ca", "store-cert", "store-key"] as const satisfies readonly OptionName[];

const ETCD_OPTIONS = [
  "store-prefix",
  ...TLS_OPTIONS,
  "store-user",
  "store-password-file",
] as const satisfies readonly OptionName[];

function refuseWithoutStore(originOf: OriginOf): void {
  for (const name of ETCD_OPTIONS) {
    const given = originOf(name);
    if (given !== undefined) throw refused(`Give --store too: ${given} is for the etcd that it names`);
  }
}

function refuseTls(originOf: OriginOf): undefined {
  for (const name of TLS_OPTIONS) {
    const given = originOf(name);
    if (given !== undefined) {
      throw refused(`Begin ${named("store", originOf)} with etcds://: ${given} is for TLS, and etcd:// is in clear`);
    }
  }
}

function tlsOf(options: StoreOptions, originOf: OriginOf): EtcdTls {
  const { "store-cert": cert, "store-key": key } = options;
  if (cert === undefined && key !== undefined) throw alone("store-cert", "store-key", originOf);
  if (key === undefined && cert !== undefined) throw alone("store-key", "store-cert", originOf);
  const read = (name: (typeof TLS_OPTIONS)[number]) => {
    const path = options[name];
    return path === undefined ? undefined : pem(name, path, originOf);
  };
  const tls = definedOf({ ca: read("store-ca"), cert: read("store-cert"), key: read("store-key") });
  mustBeUsable(tls, originOf);
  return tls;
}

/** A wrong file is found out here, and not as a connection that fails again and again. */
function mustBeUsable({ ca, cert, key }: EtcdTls, originOf: OriginOf): void {
  const certificate = (name: OptionName, content: Buffer) =>
    attempt(() => new X509Certificate(content), `Give ${named(name, originOf)} a certificate in PEM`);
  if (ca !== undefined) certificate("store-ca", ca);
  if (cert === undefined || key === undefined) return;
  const own = certificate("store-cert", cert);
  const what = `Give ${named("store-key", originOf)} a private key in PEM, without a passphrase`;
  const isPair = own.checkPrivateKey(attempt(() => createPrivateKey(key), what));
  if (!isPair)
    throw refused(`Give ${named("store-key", originOf)} the key of ${named("store-cert", originOf)}: it is another's`);
}

function definedOf({ ca, cert, key }: Partial<Record<"ca" | "cert" | "key", Buffer | undefined>>): EtcdTls {
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

function userOf(options: StoreOptions, originOf: OriginOf): EtcdStoreConfig["user"] {
  const { "store-user": name, "store-password-file": path } = options;
  if (name === undefined && path === undefined) return undefined;
  if (name === undefined) throw alone("store-user", "store-password-file", originOf);
  if (path === undefined) throw alone("store-password-file", "store-user", originOf);
  // Editors end a file with a line's end, which no password has.
  const password = file("store-password-file", path, originOf)
    .toString("utf8")
    .replace(/\r?\n$/, "");
  if (password === "" || password.includes("\n")) {
    throw refused(
      `Write one line, the password, in the file of ${named("store-password-file", originOf)}: "${path}" has ${password === "" ? "none" : "more"}`,
    );
  }
  return { name, password };
}

function pem(name: OptionName, path: string, originOf: OriginOf): Buffer {
  const content = file(name, path, originOf);
  if (content.includes("-----BEGIN ")) return content;
  throw refused(`Name a PEM file with ${named(name, originOf)}: "${path}" is none`);
}

function file(name: OptionName, path: string, originOf: OriginOf): Buffer {
  return attempt(() => readFileSync(path), `Name a readable file with ${named(name, originOf)}: "${path}"`);
}

function attempt<T>(work: () => T, what: string): T {
  try {
    return work();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new MusterError("configInvalid", `${what}: ${reason}`, { cause });
  }
}

function alone(missing: OptionName, given: OptionName, originOf: OriginOf): MusterError {
  return refused(`Give --${missing} too: ${named(given, originOf)} stands alone`);
}

function named(name: OptionName, originOf: OriginOf): string {
  return originOf(name) ?? `--${name}`;
}

function refused(message: string): MusterError {
  return new MusterError("configInvalid", message);
}
