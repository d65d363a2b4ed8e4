/** The headers in which HTTP/2 carries how a call ended. */
import type { OutgoingHttpHeaders } from "node:http2";
import { Status } from "./status.ts";

/** The content type that a call's answer has, whatever flavour of it the client asked with. */
export const GRPC_CONTENT_TYPE = "application/grpc";

/** A node:http2 that is given this adds no Date header, which no gRPC client reads. */
export const WITH_TRAILERS = { waitForTrailers: true, sendDate: false };

/** For an answer of headers only. */
export const WITHOUT_BODY = { endStream: true, sendDate: false };

/** What a status is as trailers. An error of which nothing is said has no message. */
export function trailersOf(code: Status, message: string): OutgoingHttpHeaders {
  if (code === Status.OK) return { "grpc-status": "0" };
  return { "grpc-status": `${code}`, "grpc-message": percentEncode(message) };
}

/** gRPC's encoding of messages: UTF-8, of which what is no printable ASCII stands as %XX, and the percent sign too. */
export function percentEncode(message: string): string {
  if (!/[^\x20-\x24\x26-\x7e]/.test(message)) return message;
  let encoded = "";
  for (const byte of Buffer.from(message, "utf8")) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}
