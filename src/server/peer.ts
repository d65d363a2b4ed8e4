/** Who asks: from the connection and the Host header, or from what a trusted proxy says about them. */
import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import type { Peer } from "../faces/face.ts";
import { parseHost } from "./host.ts";

/**
 * The peer of a request. With `trustProxy` the last value of X-Forwarded-For, -Proto and -Host counts where there is a
 * sound one: the last is what our proxy itself wrote, the ones before it are whatever its client claimed.
 */
export function peerOf(request: IncomingMessage, options: PeerOptions): Peer {
  const direct: Peer = {
    address: plainAddress(request.socket.remoteAddress ?? ""),
    host: parseHost(options.authority ?? request.headers.host)?.text,
    scheme: "http",
    connection: request.socket,
  };
  return options.trustProxy ? forwarded(request, direct) : direct;
}

export interface PeerOptions {
  readonly trustProxy: boolean;
  /** The host of a request whose target was a whole URL; it stands above the Host header (RFC 9112, 3.2.2). */
  readonly authority: string | undefined;
}

function forwarded(request: IncomingMessage, direct: Peer): Peer {
  const address = lastValue(request, "x-forwarded-for");
  const scheme = lastValue(request, "x-forwarded-proto")?.toLowerCase();
  return {
    address: address !== undefined && isIP(address) !== 0 ? plainAddress(address) : direct.address,
    host: parseHost(lastValue(request, "x-forwarded-host"))?.text ?? direct.host,
    scheme: scheme === "https" || scheme === "http" ? scheme : direct.scheme,
    connection: direct.connection,
  };
}

function lastValue(request: IncomingMessage, header: string): string | undefined {
  return request.headersDistinct[header]?.at(-1)?.split(",").at(-1)?.trim();
}

/** An IPv4 client of a listener on `::` shows as ::ffff:10.0.0.1. */
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice("::ffff:".length) : address;
}
