/**
 * gzip, the one compression that etcd's server takes: requests that come so, and answers to them. It is done on a thread
 * of its own, one message at a time each way: the event loop is not held, and of Node's threads the store's writes have
 * the rest.
 */
import { buffer } from "node:stream/consumers";
import { constants, createGzip, gunzip } from "node:zlib";
import { KeyedQueue } from "../base/keyed-queue.ts";
import { GrpcError } from "./grpc-error.ts";
import { Status } from "./status.ts";

/** As `grpc-encoding` names it. */
export const GZIP = "gzip";

/** What `grpc-accept-encoding` says of this server. */
export const ACCEPTED_ENCODINGS = `identity,${GZIP}`;

const lines = new KeyedQueue();

/**
 * A message as it was before its client compressed it.
 * @throws GrpcError in grpc-go's words for one that has more than `maxMessageBytes`, of which no more is unpacked, or
 *   that is no gzip
 */
export function unpacked(message: Uint8Array, maxMessageBytes: number): Promise<Buffer> {
  const unpack = () =>
    new Promise<Buffer>((resolve, reject) => {
      gunzip(message, { maxOutputLength: maxMessageBytes }, (error, bytes) => {
        if (error === null) resolve(bytes);
        else reject(refusal(error, maxMessageBytes));
      });
    });
  return lines.run("unpack", unpack);
}

/** The pieces of a message, compressed together. */
export function packed(pieces: readonly Uint8Array[]): Promise<Buffer> {
  return lines.run("pack", () => {
    const gzip = createGzip({ level: constants.Z_BEST_SPEED });
    for (const piece of pieces) gzip.write(piece);
    gzip.end();
    return buffer(gzip);
  });
}

/** What Go says where zlib says something else, and whether it says so of the header or of what follows. */
const GO_WORDS: Readonly<Record<string, string>> = {
  "incorrect header check": "failed to decompress the message: gzip: invalid header",
  "unknown compression method": "failed to decompress the message: gzip: invalid header",
  "incorrect data check": "failed to read decompressed data: gzip: invalid checksum",
  "incorrect length check": "failed to read decompressed data: gzip: invalid checksum",
  "unexpected end of file": "failed to read decompressed data: unexpected EOF",
};

function refusal(error: Error, maxMessageBytes: number): GrpcError {
  if ("code" in error && error.code === "ERR_BUFFER_TOO_LARGE") {
    const message = `grpc: received message after decompression larger than max ${maxMessageBytes}`;
    return new GrpcError(Status.RESOURCE_EXHAUSTED, message, { cause: error });
  }
  const words = GO_WORDS[error.message] ?? `failed to read decompressed data: ${error.message}`;
  return new GrpcError(Status.INTERNAL, `grpc: ${words}`, { cause: error });
}
