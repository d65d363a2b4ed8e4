/** Flags, environment and a file become one typed, checked configuration. */
import type { z } from "zod";
import { MusterError } from "../base/errors.ts";
import type { LogFormat, LogLevel } from "../base/log.ts";
import {
  OPTION_NAMES,
  OPTION_TEXTS,
  type OptionName,
  optionsSchema,
  STORE_OPTION_NAMES,
  storeOptionsSchema,
} from "./config-options.ts";
import { type ConfigSources, type Given, givenOptions } from "./config-sources.ts";
import type { ListenAddress } from "./config-values.ts";
import { type OriginOf, type StoreConfig, storeConfig } from "./store-config.ts";
import { withoutPassword } from "./store-url.ts";
import { type TlsKeys, tlsKeys } from "./tls-keys.ts";

export interface Config {
  readonly listen: readonly ListenAddress[];
  readonly clientListen: readonly ListenAddress[];
  readonly store: StoreConfig;
  /** Without a trailing slash; absent: the Host of each request. */
  readonly publicUrl: string | undefined;
  /** 0: tokens never expire. */
  readonly tokenTtlMs: number;
  readonly trustProxy: boolean;
  /** Names in lower case. */
  readonly clientAllowedHosts: readonly string[];
  /** Without trailing slashes; none: the address that each request came by. */
  readonly advertiseClientUrls: readonly string[];
  /** 0: no automatic compaction. */
  readonly autoCompactionRetentionMs: number;
  readonly autoCompactionRevisions: number;
  readonly maxConnections: number;
  readonly maxRequestBytes: number;
  /** Every listener speaks TLS with these; undefined: none does. */
  readonly tls: TlsKeys | undefined;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

/**
 * The configuration of `muster serve`. Throws `configInvalid` with one line that names the option as it was given (flag,
 * variable or key of the file), the value and what it takes.
 */
export function loadConfig(sources: ConfigSources): Config {
  const given = givenOptions(sources);
  const options = validated(optionsSchema, OPTION_NAMES, given);
  refuseSameAddressTwice([...options.listen, ...options["client-listen"]]);
  const store = storeConfig(options, originsIn(given));
  return {
    listen: options.listen,
    clientListen: options["client-listen"],
    store,
    publicUrl: options["public-url"],
    tokenTtlMs: options["token-ttl"],
    trustProxy: options["trust-proxy"],
    clientAllowedHosts: options["client-allowed-host"],
    advertiseClientUrls: options["advertise-client-urls"],
    autoCompactionRetentionMs: compactionRetentionMs(options["auto-compaction-retention"], store, originsIn(given)),
    autoCompactionRevisions: options["auto-compaction-revisions"],
    maxConnections: options["max-connections"],
    maxRequestBytes: options["max-request-bytes"],
    tls: tlsKeys(options["tls-cert"], options["tls-key"]),
    logLevel: options["log-level"],
    logFormat: options["log-format"],
  };
}

/**
 * The store alone, for commands that have no other options: what a file or the environment says beside it is for `serve`.
 * Throws `configInvalid` as loadConfig.
 */
export function loadStoreConfig(sources: ConfigSources): StoreConfig {
  const given = givenOptions(sources);
  return storeConfig(validated(storeOptionsSchema, STORE_OPTION_NAMES, given), originsIn(given));
}

function originsIn(given: ReadonlyMap<OptionName, Given>): OriginOf {
  return (name) => given.get(name)?.origin;
}

/** The values of some options: their schema's output. */
function validated<S extends z.ZodType>(
  schema: S,
  names: readonly OptionName[],
  given: ReadonlyMap<OptionName, Given>,
): z.output<S> {
  const input = Object.fromEntries(names.map((name) => [name, textsFor(name, givenOrDefault(name, given).texts)]));
  const result = schema.safeParse(input);
  if (!result.success) throw wrongValue(given, result.error);
  return result.data;
}

function givenOrDefault(name: OptionName, given: ReadonlyMap<OptionName, Given>): Given {
  const { default: text } = OPTION_TEXTS[name];
  return given.get(name) ?? { texts: text === undefined ? [] : [text], origin: `--${name}` };
}

/** A repeatable option is validated as a list; of any other, the last one given counts, as on every command line. */
function textsFor(name: OptionName, texts: readonly string[]): readonly string[] | string | undefined {
  return OPTION_TEXTS[name].repeatable === true ? texts : texts.at(-1);
}

function wrongValue(given: ReadonlyMap<OptionName, Given>, error: z.ZodError): MusterError {
  const [option, place] = error.issues[0]?.path ?? [];
  const name = OPTION_NAMES.find((known) => known === option);
  if (name === undefined) return new MusterError("internal", "Validate the options by name", { cause: error });
  const { texts, origin } = givenOrDefault(name, given);
  const text = (typeof place === "number" ? texts[place] : texts.at(-1)) ?? "";
  const value = name === "store" ? withoutPassword(text) : text;
  return new MusterError("configInvalid", `Set ${origin} to ${OPTION_TEXTS[name].takes}: got "${value}"`);
}

/** An etcd has an operator, who knows what its history is needed for; one that is shared is not Muster's to compact. */
function compactionRetentionMs(retentionMs: number, store: StoreConfig, originOf: OriginOf): number {
  if (store.kind === "embedded" || retentionMs === 0) return retentionMs;
  const given = originOf("auto-compaction-retention") ?? originOf("auto-compaction-revisions");
  if (given === undefined) return 0;
  if (store.prefix === "") return retentionMs;
  const prefix = originOf("store-prefix") ?? "--store-prefix";
  const message = `Leave out ${given}: with ${prefix} the etcd belongs to others too, and Muster compacts nothing there`;
  throw new MusterError("configInvalid", message);
}

function refuseSameAddressTwice(addresses: readonly ListenAddress[]): void {
  const seen = new Set<string>();
  for (const { port, text } of addresses) {
    if (port !== 0 && seen.has(text)) {
      throw new MusterError(
        "configInvalid",
        `Give each --listen and --client-listen its own address: "${text}" is there twice`,
      );
    }
    seen.add(text);
  }
}
