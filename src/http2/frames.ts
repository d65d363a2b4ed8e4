/** Frames of HTTP/2 as bytes (RFC 9113, sections 4 and 6). */

export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export type FrameType = (typeof FrameType)[keyof typeof FrameType];

export const Flag = { END_STREAM: 0x1, ACK: 0x1, END_HEADERS: 0x4, PADDED: 0x8, PRIORITY: 0x20 } as const;

export const Setting = {
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
} as const;

/** How every connection begins (3.4). */
export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export const FRAME_HEAD_BYTES = 9;

/** What a frame may hold before its receiver says otherwise, in bytes; Muster never does (6.5.2). */
export const DEFAULT_FRAME_BYTES = 16_384;

/** What may be sent before a window is opened further, in bytes (6.9.2). */
export const DEFAULT_WINDOW_BYTES = 65_535;

/** No window is larger (6.9.1). */
export const MAX_WINDOW_BYTES = 2 ** 31 - 1;

/** What a frame says before its payload. */
export interface FrameHead {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
}

export interface Frame extends FrameHead {
  readonly payload: Buffer;
}

/** One that is sent. */
export interface SentFrame extends FrameHead {
  readonly payload: Uint8Array;
}

/** Where its payload goes. */
export function writeFrameHead(bytes: Buffer, at: number, { type, flags, streamId, payload }: SentFrame): number {
  const { length } = payload;
  bytes[at] = length >>> 16;
  bytes[at + 1] = (length >>> 8) & 0xff;
  bytes[at + 2] = length & 0xff;
  bytes[at + 3] = type;
  bytes[at + 4] = flags;
  writeUint32(bytes, streamId, at + 5);
  return at + FRAME_HEAD_BYTES;
}

/** Where the next frame goes. */
export function writeFrame(bytes: Buffer, at: number, frame: SentFrame): number {
  const begin = writeFrameHead(bytes, at, frame);
  bytes.set(frame.payload, begin);
  return begin + frame.payload.length;
}

/** A frame whose payload is one number: RST_STREAM and WINDOW_UPDATE. */
export function numberFrame(type: FrameType, streamId: number, value: number): SentFrame {
  const payload = Buffer.allocUnsafe(4);
  writeUint32(payload, value, 0);
  return { type, flags: 0, streamId, payload };
}

export function settingsFrame(settings: readonly (readonly [id: number, value: number])[]): SentFrame {
  const payload = Buffer.allocUnsafe(6 * settings.length);
  for (const [at, [id, value]] of settings.entries()) {
    payload.writeUInt16BE(id, 6 * at);
    payload.writeUInt32BE(value, 6 * at + 2);
  }
  return { type: FrameType.SETTINGS, flags: 0, streamId: 0, payload };
}

/** `reason` is for people (6.8). */
export function goAwayFrame(lastStreamId: number, code: number, reason: string): SentFrame {
  const payload = Buffer.alloc(8 + Buffer.byteLength(reason));
  writeUint32(payload, lastStreamId, 0);
  writeUint32(payload, code, 4);
  payload.write(reason, 8);
  return { type: FrameType.GOAWAY, flags: 0, streamId: 0, payload };
}

/** 31 bits: the first one means nothing, and is not looked at. */
export function readUint31(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) & 0x7fff_ffff;
}

function writeUint32(bytes: Buffer, value: number, at: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = (value >>> 16) & 0xff;
  bytes[at + 2] = (value >>> 8) & 0xff;
  bytes[at + 3] = value & 0xff;
}
