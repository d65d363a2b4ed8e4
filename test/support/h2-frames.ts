/** HTTP/2 as an attacker speaks it: frames put together by hand, whatever they are, on a socket of its own. */
import { connect, type Socket } from "node:net";

export const Type = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const END_STREAM = 0x1;
export const ACK = 0x1;
export const END_HEADERS = 0x4;
export const PADDED = 0x8;

export const Setting = { tableSize: 1, push: 2, maxStreams: 3, initialWindow: 4, frameSize: 5 } as const;

export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
export const MOST_WINDOW = 2 ** 31 - 1;

const HEAD_BYTES = 9;
const PATIENCE_MS = 20_000;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** How a frame begins, behind its length. */
export type FrameHead = readonly [type: number, flags: number, streamId: number];

export function frame([type, flags, streamId]: FrameHead, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(streamId, 5);
  bytes.set(payload, HEAD_BYTES);
  return bytes;
}

/** Four bytes. */
export function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function settings(...all: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = all.map(([id, value]) => Buffer.concat([Buffer.of(id >>> 8, id & 0xff), number(value)]));
  return frame([Type.settings, 0, 0], Buffer.concat(payload));
}

export function widen(streamId: number, bytes: number): Buffer {
  return frame([Type.windowUpdate, 0, streamId], number(bytes));
}

export function reset(streamId: number, code = 8): Buffer {
  return frame([Type.reset, 0, streamId], number(code));
}

export function ping(text = "muster: "): Buffer {
  return frame([Type.ping, 0, 0], Buffer.from(text));
}

export function data(streamId: number, body: Uint8Array | string, flags = 0): Buffer {
  return frame([Type.data, flags, streamId], typeof body === "string" ? Buffer.from(body) : body);
}

/** A payload in padding: its length first, the padding behind. */
export function padded(payload: Uint8Array, padding: number): Buffer {
  return Buffer.concat([Buffer.of(padding), payload, Buffer.alloc(padding)]);
}

/** A field that no table keeps (RFC 7541, 6.2.2), spelled out. */
export function literal(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.of(0), text(name), text(value)]);
}

/** One that is put into the table: the newest entry then, 62. */
export function kept(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.of(0x40), text(name), text(value)]);
}

function text(value: string): Buffer {
  return Buffer.concat([prefixed(value.length), Buffer.from(value, "latin1")]);
}

/** An integer in the last seven bits of a byte, and those after it (5.1). */
function prefixed(value: number): Buffer {
  if (value < 0x7f) return Buffer.of(value);
  const bytes = [0x7f];
  let rest = value - 0x7f;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.of(...bytes, rest);
}

/** The fields of `POST /path http`, and more of them. */
export function request(path: string, ...more: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.of(0x83, 0x86), literal(":path", path), literal(":authority", "judge"), ...more]);
}

/** Opens a stream; its fields are those of `request`, unless they are given. */
export function open(streamId: number, path: string, flags = 0): Buffer {
  return frame([Type.headers, END_HEADERS | flags, streamId], request(path));
}

export interface RawClientOptions {
  readonly port: number;
  /** What it says first; a preface and empty settings unless given. */
  readonly first?: Uint8Array;
  /** Whether it reads what comes. */
  readonly reads?: boolean;
  /** Whether it leaves its own side open when the server has ended its. */
  readonly stays?: boolean;
}

/** One connection. What comes is kept as frames, until it is asked for. */
export class RawClient implements Disposable {
  readonly socket: Socket;
  /** Resolves when the server has ended the connection, or cut it. */
  readonly closed: Promise<void>;
  /** All that came and was not taken. */
  readonly frames: Frame[] = [];
  #rest: Buffer = Buffer.alloc(0);
  #isClosed = false;
  #look: () => void = () => undefined;

  constructor({ port, first = Buffer.concat([PREFACE, settings()]), reads = true, stays = false }: RawClientOptions) {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: stays });
    this.socket = socket;
    this.closed = new Promise((resolve) => {
      socket.once("close", () => {
        this.#isClosed = true;
        this.#look();
        resolve();
      });
    });
    // A reset shows as the close that follows.
    socket.on("error", () => undefined);
    if (reads) this.read();
    socket.write(first);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Begins to read. */
  read(): void {
    this.socket.on("data", (chunk: Buffer) => this.#take(chunk));
  }

  send(...frames: readonly Uint8Array[]): void {
    this.socket.write(frames.length === 1 && frames[0] !== undefined ? frames[0] : Buffer.concat(frames));
  }

  /** Sends, and waits until there is room for more; at once where the connection is closed. */
  async sendAll(bytes: Uint8Array): Promise<void> {
    if (this.#isClosed || this.socket.destroyed || this.socket.write(bytes)) return;
    await new Promise<void>((resolve) => {
      const goOn = () => {
        this.socket.off("drain", goOn).off("close", goOn);
        resolve();
      };
      this.socket.on("drain", goOn).on("close", goOn);
    });
  }

  /** The first frame that fits, which is taken out with all before it. Rejects where the connection ends without it. */
  async next(fits: (frame: Frame) => boolean, what: string): Promise<Frame> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const at = this.frames.findIndex(fits);
      const [found] = at < 0 ? [] : this.frames.splice(0, at + 1).slice(at);
      if (found !== undefined) return found;
      if (this.#isClosed) throw new Error(`the connection ended without ${what}; there came ${this.told()}`);
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) throw new Error(`waited ${PATIENCE_MS} ms for ${what}; there came ${this.told()}`);
      await this.#more(leftMs);
    }
  }

  /** The code that the connection is ended with. */
  async goAway(): Promise<number> {
    return (await this.next(({ type }) => type === Type.goAway, "GOAWAY")).payload.readUInt32BE(4);
  }

  /** The code that a stream is reset with. */
  async resetOf(streamId: number): Promise<number> {
    const isIt = (frame: Frame) => frame.type === Type.reset && frame.streamId === streamId;
    return (await this.next(isIt, `RST_STREAM of ${streamId}`)).payload.readUInt32BE(0);
  }

  /** The body of an answer, whole. Other streams' frames stay. */
  async bodyOf(streamId: number): Promise<Buffer> {
    const ofStream = (frame: Frame) => frame.streamId === streamId && frame.type !== Type.windowUpdate;
    const pieces: Buffer[] = [];
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const at = this.frames.findIndex(ofStream);
      const [found] = at < 0 ? [] : this.frames.splice(at, 1);
      if (found === undefined) {
        if (this.#isClosed || performance.now() > deadline) {
          throw new Error(`no end of stream ${streamId} after ${pieces.length} pieces; there came ${this.told()}`);
        }
        await this.#more(deadline - performance.now());
        continue;
      }
      if (found.type === Type.reset) throw new Error(`stream ${streamId} was reset: ${found.payload.readUInt32BE(0)}`);
      if (found.type === Type.data) pieces.push(found.payload);
      if ((found.flags & END_STREAM) !== 0) return Buffer.concat(pieces);
    }
  }

  /** Waits until the server has read all that was sent: it answers a PING. What came before the answer stays. */
  async settle(): Promise<void> {
    const mark = String(Math.random()).padEnd(10, "0").slice(2, 10);
    const isIt = ({ type, flags, payload }: Frame) =>
      type === Type.ping && flags === ACK && payload.toString() === mark;
    this.send(ping(mark));
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const at = this.frames.findIndex(isIt);
      if (at >= 0) return void this.frames.splice(at, 1);
      if (this.#isClosed || performance.now() > deadline) {
        throw new Error(`no answer to a PING; there came ${this.told()}`);
      }
      await this.#more(deadline - performance.now());
    }
  }

  /** For errors: the latest frames that nobody took. */
  told(): string {
    const names = Object.keys(Type);
    const latest = this.frames.slice(-8).map(({ type, streamId, payload }) => {
      const shown = type === Type.data ? `${payload.length} bytes` : payload.toString("latin1");
      return `${names[type] ?? type} of ${streamId} (${shown})`;
    });
    return `${this.frames.length} frames: … ${latest.join(", ")}`;
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  #take(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (bytes.length - at >= HEAD_BYTES) {
      const end = at + HEAD_BYTES + bytes.readUIntBE(at, 3);
      if (end > bytes.length) break;
      const streamId = bytes.readUInt32BE(at + 5);
      const payload = Buffer.from(bytes.subarray(at + HEAD_BYTES, end));
      this.frames.push({ type: bytes[at + 3] ?? 0, flags: bytes[at + 4] ?? 0, streamId, payload });
      at = end;
    }
    this.#rest = bytes.subarray(at);
    this.#look();
  }

  /** Resolves when something came, the connection ended, or the time is over. */
  #more(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(withinMs, 1));
      this.#look = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
