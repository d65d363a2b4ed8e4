/** What somebody gave of the options: by flags, by the environment, or in a file. Nobody else reads the environment. */
import { readFileSync } from "node:fs";
import { parse as parseYaml } from "yaml";
import { z } from "zod";
import { MusterError } from "../base/errors.ts";
import { nearestName } from "../base/nearest.ts";
import { OPTION_NAMES, OPTION_TEXTS, type OptionName, variableOf } from "./config-options.ts";

/** Where options come from; the first that gives one wins: flags, then env, then the file. */
export interface ConfigSources {
  /** By name without dashes, such as `client-listen`; also `config`. */
  readonly flags: Readonly<Record<string, readonly string[]>>;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The texts of an option, and how whoever gave them calls it. */
export interface Given {
  readonly texts: readonly string[];
  readonly origin: string;
}

/** What was given, without defaults. Throws `configInvalid` where the file cannot be read, or a name is no option's. */
export function givenOptions(sources: ConfigSources): ReadonlyMap<OptionName, Given> {
  const given = new Map<OptionName, Given>();
  const fromEnv = readEnv(sources.env);
  const file = sources.flags.config?.at(-1) ?? fromEnv.config;
  if (file !== undefined) for (const [name, value] of readConfigFile(file)) given.set(name, value);
  for (const [name, value] of fromEnv.options) given.set(name, value);
  for (const name of OPTION_NAMES) {
    const texts = sources.flags[name];
    if (texts !== undefined)
      given.set(name, { texts: texts.flatMap((text) => split(name, text)), origin: `--${name}` });
  }
  return given;
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
