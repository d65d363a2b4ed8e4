/** What the client's SETTINGS say, as far as it matters to a server that pushes nothing and keeps no table for its answers. */
import { DEFAULT_FRAME_BYTES, DEFAULT_WINDOW_BYTES, MAX_WINDOW_BYTES, Setting } from "./frames.ts";
import { ConnectionError } from "./http2-error.ts";
import { ErrorCode } from "./server-stream.ts";

const SETTING_BYTES = 6;
const LARGEST_FRAME_BYTES = 2 ** 24 - 1;

/** Larger frames than this gain nothing, and keep other streams waiting. */
const LARGEST_SENT_FRAME_BYTES = 64 * 1024;

export class PeerSettings {
  /** What a new stream may send before the client says more, in bytes. */
  initialWindow = DEFAULT_WINDOW_BYTES;
  /** The largest frame to send, in bytes. */
  frameBytes = DEFAULT_FRAME_BYTES;

  /**
   * Takes the payload of a SETTINGS frame (RFC 9113, 6.5.2).
   * @throws ConnectionError for values that are not allowed
   */
  take(payload: Buffer): void {
    if (payload.length % SETTING_BYTES !== 0) {
      throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "settings have six bytes each");
    }
    for (let at = 0; at < payload.length; at += SETTING_BYTES) {
      this.#set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
    }
  }

  #set(id: number, value: number): void {
    if (id === Setting.ENABLE_PUSH) {
      if (value > 1) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "ENABLE_PUSH is 0 or 1");
    } else if (id === Setting.INITIAL_WINDOW_SIZE) {
      if (value > MAX_WINDOW_BYTES) throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "a window is too large");
      this.initialWindow = value;
    } else if (id === Setting.MAX_FRAME_SIZE) {
      if (value < DEFAULT_FRAME_BYTES || value > LARGEST_FRAME_BYTES) {
        throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "MAX_FRAME_SIZE is out of its bounds");
      }
      this.frameBytes = Math.min(value, LARGEST_SENT_FRAME_BYTES);
    }
  }
}
