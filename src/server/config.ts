/** Flags, environment and a file become one typed, checked configuration; nobody else reads the environment. */
import { readFileSync } from "node:fs";
import { parse as parseYaml } from "yaml";
import { z } from "zod";
import { MusterError } from "../base/errors.ts";
import type { LogFormat, LogLevel } from "../base/log.ts";
import { nearestName } from "../base/nearest.ts";
import { OPTION_NAMES, OPTION_TEXTS, type OptionName, optionsSchema, variableOf } from "./config-options.ts";
import type { ListenAddress } from "./config-values.ts";
import { type TlsKeys, tlsKeys } from "./tls-keys.ts";

export interface Config {
  readonly listen: readonly ListenAddress[];
  readonly clientListen: readonly ListenAddress[];
  /** Absolute. */
  readonly dataDir: string;
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

/** Where options come from; the first that gives one wins: flags, then env, then the file. */
export interface ConfigSources {
  /** By name without dashes, such as `client-listen`; also `config`. */
  readonly flags: Readonly<Record<string, readonly string[]>>;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The texts of an option, and how whoever gave them calls it. */
interface Given {
  readonly texts: readonly string[];
  readonly origin: string;
}

/**
 * The configuration of `muster serve`. Throws `configInvalid` with one line that names the option as it was given (flag,
 * variable or key of the file), the value and what it takes.
 */
export function loadConfig(sources: ConfigSources): Config {
  const given = new Map<OptionName, Given>();
  for (const name of OPTION_NAMES) {
    const text = OPTION_TEXTS[name].default;
    if (text !== undefined) given.set(name, { texts: [text], origin: `--${name}` });
  }
  const fromEnv = readEnv(sources.env);
  const file = sources.flags.config?.at(-1) ?? fromEnv.config;
  if (file !== undefined) for (const [name, value] of readConfigFile(file)) given.set(name, value);
  for (const [name, value] of fromEnv.options) given.set(name, value);
  for (const name of OPTION_NAMES) {
    const texts = sources.flags[name];
    if (texts !== undefined)
      given.set(name, { texts: texts.flatMap((text) => split(name, text)), origin: `--${name}` });
  }
  return validate(given);
}

function validate(given: ReadonlyMap<OptionName, Given>): Config {
  const input = Object.fromEntries(OPTION_NAMES.map((name) => [name, textsFor(name, given.get(name)?.texts ?? [])]));
  const result = optionsSchema.safeParse(input);
  if (!result.success) throw wrongValue(given, result.error);
  const options = result.data;
  refuseSameAddressTwice([...options.listen, ...options["client-listen"]]);
  return {
    listen: options.listen,
    clientListen: options["client-listen"],
    dataDir: options["data-dir"],
    publicUrl: options["public-url"],
    tokenTtlMs: options["token-ttl"],
    trustProxy: options["trust-proxy"],
    clientAllowedHosts: options["client-allowed-host"],
    advertiseClientUrls: options["advertise-client-urls"],
    autoCompactionRetentionMs: options["auto-compaction-retention"],
    autoCompactionRevisions: options["auto-compaction-revisions"],
    maxConnections: options["max-connections"],
    maxRequestBytes: options["max-request-bytes"],
    tls: tlsKeys(options["tls-cert"], options["tls-key"]),
    logLevel: options["log-level"],
    logFormat: options["log-format"],
  };
}

/** A repeatable option is validated as a list; of any other, the last one given counts, as on every command line. */
function textsFor(name: OptionName, texts: readonly string[]): readonly string[] | string | undefined {
  return OPTION_TEXTS[name].repeatable === true ? texts : texts.at(-1);
}

function wrongValue(given: ReadonlyMap<OptionName, Given>, error: z.ZodError): MusterError {
  const [option, place] = error.issues[0]?.path ?? [];
  const name = OPTION_NAMES.find((known) => known === option);
  if (name === undefined) return new MusterError("internal", "Validate the options by name", { cause: error });
  const { texts, origin } = given.get(name) ?? { texts: [], origin: `--${name}` };
  const value = typeof place === "number" ? texts[place] : texts.at(-1);
  return new MusterError("configInvalid", `Set ${origin} to ${OPTION_TEXTS[name].takes}: got "${value ?? ""}"`);
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

const PREFIX = "MUSTER_";

/** What Kubernetes puts in every pod's environment for a Service whose name begins with "muster": none of it is for us. */
const KUBERNETES_SERVICE =
  /^MUSTER_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/;

/** What the project's own tests are told by; a muster that they start inherits it. */
const TEST_PREFIX = "MUSTER_TEST_";

/** An empty variable counts as not set, since container files often cannot leave one out. */
function readEnv(env: ConfigSources["env"]): {
  readonly options: ReadonlyMap<OptionName, Given>;
  readonly config: string | undefined;
} {
  const options = new Map<OptionName, Given>();
  const variables = [...OPTION_NAMES, "config"].map(variableOf);
  for (const [variable, text] of Object.entries(env)) {
    if (text === undefined || !isOurs(variable)) continue;
    if (!variables.includes(variable)) throw unknownName(`the environment variable ${variable}`, variable, variables);
    const name = OPTION_NAMES.find((option) => variableOf(option) === variable);
    if (name !== undefined && text !== "") options.set(name, { texts: split(name, text), origin: variable });
  }
  return { options, config: env[variableOf("config")] || undefined };
}

function isOurs(variable: string): boolean {
  return variable.startsWith(PREFIX) && !variable.startsWith(TEST_PREFIX) && !KUBERNETES_SERVICE.test(variable);
}

const scalar = z.union([z.string(), z.number(), z.boolean()]).transform(String);
const fileSchema = z.record(z.string(), z.union([scalar, z.array(scalar), z.null()])).nullable();

function readConfigFile(path: string): ReadonlyMap<OptionName, Given> {
  const options = new Map<OptionName, Given>();
  const result = fileSchema.safeParse(parseConfigFile(path));
  if (!result.success) {
    const at = result.error.issues[0]?.path[0];
    const what = at === undefined ? `"key: value" lines` : `a value or a list of values under "${String(at)}"`;
    throw new MusterError("configInvalid", `Write ${what} in the configuration file ${path}`, { cause: result.error });
  }
  for (const [key, value] of Object.entries(result.data ?? {})) {
    const name = OPTION_NAMES.find((option) => option === key);
    if (name === undefined) throw unknownName(`"${key}" in ${path}`, key, OPTION_NAMES);
    if (value === null) continue;
    if (Array.isArray(value) && OPTION_TEXTS[name].repeatable !== true) {
      throw new MusterError("configInvalid", `Give "${key}" in ${path} one value: got a list of ${value.length}`);
    }
    const texts = Array.isArray(value) ? value : split(name, value);
    options.set(name, { texts, origin: `"${key}" in ${path}` });
  }
  return options;
}

function parseConfigFile(path: string): unknown {
  try {
    return parseYaml(readFileSync(path, "utf8"));
  } catch (cause) {
    throw unreadableFile(path, cause);
  }
}

function unreadableFile(path: string, cause: unknown): MusterError {
  const [reason = ""] = (cause instanceof Error ? cause.message : String(cause)).split("\n");
  return new MusterError("configInvalid", `Name a readable YAML file with --config: "${path}": ${reason}`, { cause });
}

function split(name: OptionName, text: string): readonly string[] {
  return OPTION_TEXTS[name].repeatable === true ? text.split(",").map((part) => part.trim()) : [text];
}

function unknownName(what: string, given: string, known: readonly string[]): MusterError {
  const near = nearestName(given, known);
  const hint = near === undefined ? "run muster serve --help for the options" : `did you mean ${near}?`;
  return new MusterError("configInvalid", `Remove ${what}: no such option; ${hint}`);
}
