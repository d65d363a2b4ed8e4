/** Who asks: from the connection and the Host header, or from what a trusted proxy says about them. */
import type { IncomingMessage } from "node:http";
import { isIP, type Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { Peer } from "../faces/face.ts";
import type { RequestFields } from "../http2/server-stream.ts";
import { type BridgedFrom, BridgedSocket } from "./bridged-socket.ts";
import { parseHost } from "./host.ts";

/**
 * The peer of a request. With `trustProxy` the last value of X-Forwarded-For, -Proto and -Host counts where there is a
 * sound one: the last is what our proxy itself wrote, the ones before it are whatever its client claimed.
 */
export function peerOf(request: IncomingMessage, options: PeerOptions): Peer {
  const from = fromOf(request.socket);
  const direct = directPeer(from, options.authority ?? request.headers.host);
  return options.trustProxy ? forwarded(direct, (header) => request.headersDistinct[header]?.at(-1)) : direct;
}

export interface PeerOptions {
  readonly trustProxy: boolean;
  /** The host of a request whose target was a whole URL; it stands above the Host header (RFC 9112, 3.2.2). */
  readonly authority: string | undefined;
}

/** The peer of a request of HTTP/2, by its fields; see `peerOf`. */
export function http2PeerOf(from: BridgedFrom, fields: RequestFields, trustProxy: boolean): Peer {
  const direct = directPeer(from, fields[":authority"] ?? fields.host);
  return trustProxy ? forwarded(direct, (name) => fields[name]) : direct;
}

function fromOf(socket: Socket): BridgedFrom {
  if (socket instanceof BridgedSocket) return socket.from;
  return { remoteAddress: socket.remoteAddress, encrypted: socket instanceof TLSSocket, connection: socket };
}

function directPeer({ remoteAddress, encrypted, connection }: BridgedFrom, host: string | undefined): Peer {
  return {
    address: plainAddress(remoteAddress ?? ""),
    host: parseHost(host)?.text,
    scheme: encrypted ? "https" : "http",
    connection,
  };
}

/** A header's last line, which may have several values. */
type HeaderLine = (name: string) => string | undefined;

function forwarded(direct: Peer, line: HeaderLine): Peer {
  const address = lastValue(line("x-forwarded-for"));
  const scheme = lastValue(line("x-forwarded-proto"))?.toLowerCase();
  return {
    address: address !== undefined && isIP(address) !== 0 ? plainAddress(address) : direct.address,
    host: parseHost(lastValue(line("x-forwarded-host")))?.text ?? direct.host,
    scheme: scheme === "https" || scheme === "http" ? scheme : direct.scheme,
    connection: direct.connection,
  };
}

function lastValue(line: string | undefined): string | undefined {
  return line?.split(",").at(-1)?.trim();
}

/** An address as people write it: an IPv4 client of a listener on `::` shows as ::ffff:10.0.0.1. */
export function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice("::ffff:".length) : address;
}
