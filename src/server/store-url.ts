/** How `--store` names an etcd cluster: `etcd://h1:2379,h2:2379`, or `etcds://…` where it speaks TLS. */
import { parseHost } from "./host.ts";

export interface StoreUrl {
  /** Whether it is spoken to with TLS. */
  readonly isSecure: boolean;
  /** `host:port` of each, IPv6 in brackets, in the order given, none twice. */
  readonly endpoints: readonly string[];
}

/** Where etcd's clients listen, unless told otherwise. */
const ETCD_PORT = "2379";

const SCHEMES: ReadonlyMap<string, boolean> = new Map([
  ["etcd", false],
  ["etcds", true],
]);

/** What the text names; undefined where it is of another form. */
export function parseStoreUrl(text: string): StoreUrl | undefined {
  const [, scheme = "", hosts = ""] = /^([a-z]+):\/\/([^/]+)\/?$/.exec(text) ?? [];
  const isSecure = SCHEMES.get(scheme);
  if (isSecure === undefined) return undefined;
  const endpoints = hosts.split(",").map(parseEndpoint);
  const known = endpoints.filter((endpoint) => endpoint !== undefined);
  return known.length === endpoints.length ? { isSecure, endpoints: [...new Set(known)] } : undefined;
}

/** The URL without a user and password that somebody put into it: errors are logged. */
export function withoutPassword(text: string): string {
  return text.replace(/\/\/.*@/, "//…@");
}

function parseEndpoint(text: string): string | undefined {
  const host = parseHost(text);
  if (host === undefined) return undefined;
  const [, port = ETCD_PORT] = /:(\d+)$/.exec(text) ?? [];
  return `${host.name.includes(":") ? `[${host.name}]` : host.name}:${port}`;
}
