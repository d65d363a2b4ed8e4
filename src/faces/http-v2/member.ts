/** The one member that v2 clients see: Muster is one process, and to them a cluster of one. */
import type { Socket } from "node:net";
import type { Exchange } from "../face.ts";

export interface Member {
  /** Up to 16 hex digits, the same on every start. */
  readonly id: string;
  readonly name: string;
  /** There are no peers; some clients want at least one URL here, so these are the client URLs. */
  readonly peerURLs: readonly string[];
  readonly clientURLs: readonly string[];
}

export interface MemberOptions {
  readonly memberId: string;
  /** What clients are told to connect to (--advertise-client-urls); none: the address that the request came by. */
  readonly advertiseClientUrls: readonly string[];
}

export const MEMBER_NAME = "muster";

/**
 * The member as the client of this exchange may reach it. Clients go on with the URLs that they find here, so without
 * an option it is the very address by which this one came, which is right on every listener and behind every proxy that
 * passes the Host on.
 */
export function memberFor(exchange: Exchange, { memberId, advertiseClientUrls }: MemberOptions): Member {
  const clientURLs = advertiseClientUrls.length > 0 ? advertiseClientUrls : [cameBy(exchange)];
  return { id: memberId, name: MEMBER_NAME, peerURLs: clientURLs, clientURLs };
}

function cameBy({ peer, request }: Exchange): string {
  return `${peer.scheme}://${peer.host ?? localHost(request.socket)}`;
}

/** For a client of HTTP/1.0 that sent no Host. */
function localHost({ localAddress = "", localPort = 0 }: Socket): string {
  const plain = localAddress.startsWith("::ffff:") ? localAddress.slice("::ffff:".length) : localAddress;
  return plain.includes(":") ? `[${plain}]:${localPort}` : `${plain}:${localPort}`;
}
