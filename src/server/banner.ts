/** What `muster serve` says when it is ready: where it listens, and commands to try that work as they stand. */
import type { Addresses } from "./service.ts";

export interface BannerOptions extends Addresses {
  readonly version: string;
  /** Where its data is, in words. */
  readonly store: string;
  readonly publicUrl: string | undefined;
  /** What the operator should know, a line each. */
  readonly warnings: readonly string[];
}

/** The banner, in lines of text that end with a line's end. */
export function banner(options: BannerOptions): string {
  const discovery = options.publicUrl ?? reachable(options.publicUrls[0] ?? "");
  const lines = [
    `Muster ${options.version} is ready. Its data is in ${options.store}`,
    "",
    ...options.publicUrls.map((url) => `  public listener (discovery, v2 and v3)   ${url}`),
    ...options.clientUrls.map((url) => `  client listener (etcd's v2 and v3 API)   ${url}`),
    ...options.warnings.flatMap((warning) => ["", `Warning: ${warning}.`]),
    "",
    "Get a discovery URL for a cluster of three:",
    "",
    `  curl -sS '${discovery}/new?size=3'; echo`,
    "",
    "Or form a cluster of three on this machine:",
    "",
    `  URL=$(curl -sS '${discovery}/new?size=3')`,
    `  for i in 1 2 3; do etcd --name n$i --data-dir n$i.etcd --discovery "$URL" ${ETCD_ADDRESSES} 2>n$i.log & done`,
    "  sleep 5; etcdctl --endpoints http://127.0.0.1:12371 member list",
    "",
    "Ctrl-C stops Muster.",
    "",
  ];
  return lines.join("\n");
}

/** Ports 12381 to 12383 and 12371 to 12373: not those of an etcd that may run here already. */
const ETCD_ADDRESSES = [
  "--listen-peer-urls http://127.0.0.1:1238$i --initial-advertise-peer-urls http://127.0.0.1:1238$i",
  "--listen-client-urls http://127.0.0.1:1237$i --advertise-client-urls http://127.0.0.1:1237$i",
].join(" ");

/** A wildcard is an address to listen on, not one to connect to. */
function reachable(url: string): string {
  return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//127.0.0.1:");
}
