/**
 * Structured logs on stderr: for people on a terminal, JSON lines otherwise. A token is a secret (who knows it may write
 * to its cluster), so no log line holds a whole one: callers shorten what they know to be a token, and every finished
 * line is searched once more for what looks like one.
 */
import { posix } from "node:path";
import { type DestinationStream, pino } from "pino";
import { prettyFactory } from "pino-pretty";
import { isMusterError } from "./errors.ts";
import { TurnLines } from "./turn-lines.ts";

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const LOG_FORMATS = ["auto", "pretty", "json"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** What the layers log through: fields first, then a sentence. An error goes in the field `err`. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  fatal(fields: object, message: string): void;
  /** A log whose lines all carry `bindings`, such as `{ part: "registry" }`. */
  child(bindings: Record<string, unknown>): Log;
  /** Whether lines of this level are written: asked before costly fields are made. */
  isLevelEnabled(level: LogLevel): boolean;
}

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Where lines go instead of stderr; then `auto` means JSON. */
  readonly destination?: DestinationStream;
}

/** A log that writes its lines at the end of each turn of the event loop at the latest, and when the process ends. */
export function createLog(options: LogOptions): Log {
  const onTerminal = options.destination === undefined && process.stderr.isTTY === true;
  const destination = options.destination ?? stderrByTurns();
  const hooks = { streamWrite: redactTokens };
  const settings = { level: options.level, base: null, hooks, serializers: { err: errorFields } };
  if (options.format === "pretty" || (options.format === "auto" && onTerminal)) {
    // Not pino-pretty's own stream: it works behind the caller's back, and would lose the last lines of a process.
    const pretty = prettyFactory({ colorize: onTerminal, translateTime: "SYS:HH:MM:ss.l", singleLine: true });
    return pino(settings, { write: (line) => destination.write(pretty(line)) });
  }
  const json = { ...settings, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: levelAsWord } };
  return pino(json, destination);
}

/** A stack shows where a defect is; an error that was foreseen says what to do, and its causes are enough beside that. */
function errorFields(error: unknown): unknown {
  if (!isMusterError(error) || error.code === "internal") {
    return error instanceof Error ? pino.stdSerializers.err(error) : error;
  }
  const causes = causesOf(error);
  return { code: error.code, message: error.message, ...(causes.length === 0 ? {} : { causes }) };
}

function causesOf({ cause }: Error): readonly string[] {
  return cause instanceof Error ? [cause.message, ...causesOf(cause)] : [];
}

function stderrByTurns(): DestinationStream {
  const lines = new TurnLines(pino.destination({ fd: 2, sync: true }));
  process.once("exit", () => lines.flushSync());
  return lines;
}

/** A log that writes nothing: for tests, and for parts that were given none. */
export const silentLog: Log = pino({ level: "silent" });

/** The first characters of a token, enough to find its cluster again and too few to use it. */
export function shortToken(token: string): string {
  const shown = MADE_TOKEN.test(token) ? SHORT_MADE_TOKEN_LENGTH : SHORT_TOKEN_LENGTH;
  return `${token.slice(0, Math.min(shown, Math.floor(token.length / 2)))}…`;
}

/**
 * A raw request path as logs may show it: decoded and cleaned, its token shortened, control characters replaced. Where
 * the percent signs spell no UTF-8, nobody knows which segment is the token: all are shortened.
 */
export function redactPath(path: string): string {
  const plain = decoded(path);
  const segments = posix.normalize(plain ?? path).split("/");
  const token = plain === undefined ? undefined : tokenPlace(segments);
  const shown = segments.map((segment, place) => (isSecret(place, token) ? shortenedSegment(segment) : segment));
  return redactTokens(shown.join("/")).replace(CONTROL_CHARACTERS, "?");
}

/** Tokens that `/new` makes begin with the time: what is shown of them has to go beyond it. */
const MADE_TOKEN = /^[0-9a-f]{32}$/i;
const SHORT_MADE_TOKEN_LENGTH = 12;
const SHORT_TOKEN_LENGTH = 6;
const CONTROL_CHARACTERS = /\p{Cc}/gu;

/** First segments that are no token; everything else at the root of the public listener is one. */
const WELL_KNOWN_ROOTS = new Set(["", "new", "health", "robots.txt", "v2", "version"]);

function isSecret(place: number, token: number | undefined): boolean {
  return token === undefined || place === token;
}

function shortenedSegment(segment: string): string {
  return segment === "" ? "" : shortToken(segment);
}

function tokenPlace(segments: readonly string[]): number {
  const first = segments.findIndex((segment) => segment !== "");
  return WELL_KNOWN_ROOTS.has(segments[first] ?? "") ? registryToken(segments) : first;
}

function registryToken(segments: readonly string[]): number {
  const registry = segments.findIndex((segment, place) => segment === "_etcd" && segments[place + 1] === "registry");
  return registry === -1 ? -1 : registry + 2;
}

/** Shortens in any text what is below the registry, and whatever looks like a token that /new gave. */
function redactTokens(line: string): string {
  return line
    .replace(/(_etcd\/registry\/+)([^/\s"'\\?]+)/g, (_all, parent: string, token: string) => parent + shortened(token))
    .replace(/[0-9a-f]{32,}/gi, (token) => shortToken(token));
}

function shortened(token: string): string {
  const already = token.endsWith("…") && token.length <= SHORT_MADE_TOKEN_LENGTH + 1;
  return already ? token : shortToken(token);
}

function decoded(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    // Not UTF-8 in percent signs.
    return undefined;
  }
}

function levelAsWord(level: string): { readonly level: string } {
  return { level };
}
