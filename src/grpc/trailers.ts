/** The fields in which HTTP/2 carries how a call ended. */
import { Status } from "./status.ts";

/** The content type that a call's answer has, whatever flavour of it the client asked with. */
export const GRPC_CONTENT_TYPE = "application/grpc";

/** Fields to be encoded: names in lower case, in the order in which they are sent. */
export type Fields = readonly (readonly [name: string, value: string])[];

/** How every answer begins. */
export const RESPONSE_FIELDS: Fields = [
  [":status", "200"],
  ["content-type", GRPC_CONTENT_TYPE],
];

/** What a status is as trailers. An error of which nothing is said has no message. */
export function trailersOf(code: Status, message: string): Fields {
  if (code === Status.OK) return [["grpc-status", "0"]];
  return [
    ["grpc-status", `${code}`],
    ["grpc-message", percentEncode(message)],
  ];
}

/**
 * gRPC's encoding of messages: UTF-8, of which what is no printable ASCII stands as %XX, and the percent sign too. So does
 * a space at either end, which no field may have there (RFC 9113, 8.2.1).
 */
export function percentEncode(message: string): string {
  if (!/^ |[^\x20-\x24\x26-\x7e]| $/.test(message)) return message;
  const bytes = Buffer.from(message, "utf8");
  let encoded = "";
  for (const [at, byte] of bytes.entries()) {
    const isEnd = at === 0 || at === bytes.length - 1;
    const plain = byte >= (isEnd ? 0x21 : 0x20) && byte <= 0x7e && byte !== 0x25;
    encoded += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}
