/** HTTP/2 as far as a load generator needs it: the bytes of requests, and the frames of answers. */

export const FRAME_HEAD_BYTES = 9;

export const FRAME_TYPES = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8 } as const;
export const END_STREAM = 0x1;
const END_HEADERS = 0x4;
export const ACK = 0x1;

/** What a connection's and a stream's window can be at most. */
export const MOST_WINDOW_BYTES = 2 ** 31 - 1;
const FIRST_WINDOW_BYTES = 65_535;
const INITIAL_WINDOW_SIZE = 4;

/** Byte, length and message: how gRPC puts a message into a stream. */
const MESSAGE_HEAD_BYTES = 5;

/** A frame of the connection; whoever wants it on a stream writes that into it. */
export function frame(type: number, flags: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(FRAME_HEAD_BYTES + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.set(payload, FRAME_HEAD_BYTES);
  return bytes;
}

/** How a client begins: windows as large as they can be, so that nothing waits for them. */
export function preface(): Buffer {
  const settings = Buffer.alloc(6);
  settings.writeUInt16BE(INITIAL_WINDOW_SIZE, 0);
  settings.writeUInt32BE(MOST_WINDOW_BYTES, 2);
  return Buffer.concat([
    Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    frame(FRAME_TYPES.settings, 0, settings),
    widen(MOST_WINDOW_BYTES - FIRST_WINDOW_BYTES),
  ]);
}

/** Lets the server send so many bytes more on the connection. */
export function widen(bytes: number): Buffer {
  const more = Buffer.alloc(4);
  more.writeUInt32BE(bytes);
  return frame(FRAME_TYPES.windowUpdate, 0, more);
}

/**
 * The headers of a call. The first on a connection spells them out, and all further ones of the same method refer to
 * those, as every gRPC library does: they are a few bytes then.
 */
export function headersFrame(host: string, path: string, isFirst: boolean): Buffer {
  const block = isFirst
    ? Buffer.concat([
        Buffer.of(POST, HTTP),
        ...[indexed(NAMES.path, path), indexed(NAMES.authority, host)],
        indexed(NAMES.contentType, "application/grpc"),
        indexed(NAMES.userAgent, "muster-bench"),
        Buffer.concat([Buffer.of(NEW_NAME), text("te"), text("trailers")]),
      ])
    : Buffer.of(POST, HTTP, ...[4, 3, 2, 1, 0].map((age) => REFERENCE + NEWEST + age));
  return frame(FRAME_TYPES.headers, END_HEADERS, block);
}

/** A message in a frame of its own. */
export function messageFrame(message: Uint8Array, flags: number): Buffer {
  const payload = Buffer.alloc(MESSAGE_HEAD_BYTES + message.length);
  payload.writeUInt32BE(message.length, 1);
  payload.set(message, MESSAGE_HEAD_BYTES);
  return frame(FRAME_TYPES.data, flags, payload);
}

/** HPACK (RFC 7541): whole fields and names of its static table, and where the newest entry of the dynamic one is. */
const POST = 0x83;
const HTTP = 0x86;
const NAMES = { authority: 0x41, path: 0x44, contentType: 0x5f, userAgent: 0x7a } as const;
const NEW_NAME = 0x40;
const REFERENCE = 0x80;
const NEWEST = 62;

function indexed(name: number, value: string): Buffer {
  return Buffer.concat([Buffer.of(name), text(value)]);
}

function text(value: string): Buffer {
  if (value.length > 126) throw new Error("keep header values short: their length is written in one byte");
  return Buffer.concat([Buffer.of(value.length), Buffer.from(value)]);
}
