/** Fields out of HEADERS and CONTINUATION frames, which come with nothing between them (RFC 9113, 4.3). */
import { MAX_FIELD_BLOCK_BYTES, MAX_FIELD_FRAMES } from "../base/http2-limits.ts";
import { MAX_HEADER_BYTES, MAX_HEADERS } from "../base/limits.ts";
import type { Field } from "./field.ts";
import { Flag, type Frame, FrameType, readUint31 } from "./frames.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { broken, notCalm, wrongSize } from "./http2-error.ts";
import { withoutPadding } from "./padding.ts";

/** What begins a request, or ends it. */
export interface FieldSection {
  readonly streamId: number;
  /** Nothing follows on the stream. */
  readonly endsStream: boolean;
  /** What its priority says; nothing else of priorities is looked at any more. */
  readonly dependsOnItself: boolean;
  /** Undefined where there is more of them than is allowed. */
  readonly list: readonly Field[] | undefined;
}

/** The size of the table that a client may make Muster keep for its fields, in bytes: what it may take for granted. */
const FIELD_TABLE_BYTES = 4_096;

const FIELD_LIMITS = { maxBytes: MAX_HEADER_BYTES, maxFields: MAX_HEADERS };

export const PRIORITY_BYTES = 5;

export class FieldReader {
  readonly #decoder = new HpackDecoder({ tableBytes: FIELD_TABLE_BYTES });
  /** The frames of a section whose last one has not come. */
  #open: { readonly head: Omit<FieldSection, "list">; readonly pieces: Buffer[]; bytes: number } | undefined;

  /** @throws ConnectionError where a section is under way and the frame is not of it */
  checkOrder({ type, streamId }: Frame): void {
    if (this.#open === undefined) {
      if (type === FrameType.CONTINUATION) throw broken("CONTINUATION goes on with HEADERS");
    } else if (type !== FrameType.CONTINUATION || streamId !== this.#open.head.streamId) {
      throw broken("HEADERS are to go on with CONTINUATION");
    }
  }

  /**
   * Takes HEADERS; answers with the section if it is whole. Sections are to be decoded whatever becomes of their
   * streams: what the next one means depends on them.
   * @throws ConnectionError, HpackError
   */
  begin({ flags, streamId, payload }: Frame): FieldSection | undefined {
    if (streamId === 0) throw broken("HEADERS are of a stream");
    let piece = withoutPadding(flags, payload);
    let dependsOnItself = false;
    if ((flags & Flag.PRIORITY) !== 0) {
      if (piece.length < PRIORITY_BYTES) throw wrongSize("HEADERS");
      dependsOnItself = readUint31(piece, 0) === streamId;
      piece = piece.subarray(PRIORITY_BYTES);
    }
    const head = { streamId, endsStream: (flags & Flag.END_STREAM) !== 0, dependsOnItself };
    if ((flags & Flag.END_HEADERS) !== 0) return { ...head, list: this.#decoder.decode(piece, FIELD_LIMITS) };
    this.#open = { head, pieces: [piece], bytes: piece.length };
    return undefined;
  }

  /** Takes CONTINUATION, in its order; see `begin`. */
  goOn({ flags, payload }: Frame): FieldSection | undefined {
    const open = this.#open;
    if (open === undefined) return undefined;
    open.pieces.push(payload);
    open.bytes += payload.length;
    if (open.bytes > MAX_FIELD_BLOCK_BYTES || open.pieces.length > MAX_FIELD_FRAMES) {
      throw notCalm("there is too much in the fields of a request");
    }
    if ((flags & Flag.END_HEADERS) === 0) return undefined;
    this.#open = undefined;
    return { ...open.head, list: this.#decoder.decode(Buffer.concat(open.pieces, open.bytes), FIELD_LIMITS) };
  }
}
