/** The Host header, which anybody can fill with anything, read strictly before it is believed or put in a URL. */
import { isIPv6 } from "node:net";

export interface Host {
  /** Name or address in lower case, without brackets and final dot. */
  readonly name: string;
  /** `host[:port]` as it was given. */
  readonly text: string;
}

const MAX_NAME_LENGTH = 253;
const NAME_AND_PORT = /^([a-z0-9](?:[a-z0-9_.-]*[a-z0-9.])?)(?::(\d{1,5}))?$/i;
const ADDRESS_AND_PORT = /^\[([0-9a-f:.]+)\](?::(\d{1,5}))?$/i;

/** What was read last: one request asks several times, and the next one nearly always names the same host. */
let latest: { readonly text: string; readonly host: Host | undefined } | undefined;

/** Reads `name[:port]`, `IPv4[:port]` or `[IPv6][:port]`; undefined for everything else (a path, user:password@, a zone). */
export function parseHost(text: string | undefined): Host | undefined {
  if (text === undefined) return undefined;
  if (latest?.text !== text) latest = { text, host: readHost(text) };
  return latest.host;
}

function readHost(text: string): Host | undefined {
  const bracketed = text.startsWith("[");
  const [, given, port] = (bracketed ? ADDRESS_AND_PORT : NAME_AND_PORT).exec(text) ?? [];
  if (given === undefined || given.length > MAX_NAME_LENGTH || !isPort(port)) return undefined;
  if (bracketed && !isIPv6(given)) return undefined;
  if (given.includes("..")) return undefined;
  return { name: given.toLowerCase().replace(/\.$/, ""), text };
}

function isPort(port: string | undefined): boolean {
  return port === undefined || (Number(port) >= 1 && Number(port) <= 65_535);
}
