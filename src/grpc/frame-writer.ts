/** Messages as they are sent: a byte that says that they are not compressed, their length in 4, and themselves. */
import { MessageWriter } from "../base/message-writer.ts";
import { EncodedMessage } from "./call.ts";
import { FRAME_HEADER_BYTES } from "./frame-reader.ts";
import type { Codec } from "./service.ts";

const EMPTY_HEADER = new Uint8Array(FRAME_HEADER_BYTES);

/** A writer that has grown larger than this is not kept. */
const KEPT_WRITER_BYTES = 256 * 1024;

/** Encoding is done in one go, so that all messages can share a writer and its memory; `finish` gives a copy. */
let writer = new MessageWriter();

/** The bytes of a response, in the order in which they are sent. */
export function framesOf(response: unknown, codec: Codec<unknown>): readonly Uint8Array[] {
  if (response instanceof EncodedMessage) return framePieces(response.pieces);
  return [frame(response, codec)];
}

function frame(response: unknown, codec: Codec<unknown>): Uint8Array {
  const shared = writer;
  try {
    shared.raw(EMPTY_HEADER);
    codec.encode(response, shared);
    const bytes = shared.finish();
    writeLength(bytes, bytes.length - FRAME_HEADER_BYTES);
    if (bytes.length > KEPT_WRITER_BYTES) writer = new MessageWriter();
    return bytes;
  } catch (error) {
    // Nobody knows what is in it.
    writer = new MessageWriter();
    throw error;
  }
}

function framePieces(pieces: readonly Uint8Array[]): readonly Uint8Array[] {
  let length = 0;
  for (const piece of pieces) length += piece.length;
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  writeLength(header, length);
  // Copying a little is quicker than sending in two pieces.
  if (length <= MOST_COPIED_BYTES) return [Buffer.concat([header, ...pieces])];
  return [header, ...pieces];
}

const MOST_COPIED_BYTES = 16 * 1024;

function writeLength(bytes: Uint8Array, length: number): void {
  bytes[1] = length >>> 24;
  bytes[2] = (length >>> 16) & 0xff;
  bytes[3] = (length >>> 8) & 0xff;
  bytes[4] = length & 0xff;
}
