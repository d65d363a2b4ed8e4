/**
 * One gRPC connection as plain as can be, for calls of one method: requests are bytes put together beforehand, of answers
 * only messages and ends are looked at. node:http2's own client takes several times the processor time, and what the
 * client takes, a server with several threads lacks.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import {
  ACK,
  END_STREAM,
  FRAME_HEAD_BYTES,
  FRAME_TYPES,
  frame,
  headersFrame,
  MOST_WINDOW_BYTES,
  messageFrame,
  preface,
  widen,
} from "./grpc-frames.ts";

/** What every connection reads into, one at a time. */
const RECEIVED = Buffer.allocUnsafeSlow(256 * 1024);

const NOTHING = Buffer.alloc(0);

/** Told of one call. */
export interface Answer {
  /** Bytes of messages with their five bytes of head, in pieces; they are to be used at once. */
  onData(bytes: Buffer): void;
  /** The server has said how the call ended. */
  onEnd(): void;
}

export class GrpcConnection {
  readonly #socket: Socket;
  readonly #onError: (error: Error) => void;
  readonly #firstHeaders: Buffer;
  readonly #headers: Buffer;
  readonly #calls = new Map<number, Answer>();
  #nextStream = 1;
  #rest: Buffer = NOTHING;
  #read = 0;
  /** What is to be written when all that came has been looked at. */
  #unsent: Buffer[] = [];
  #isTaking = false;

  private constructor(options: {
    readonly url: string;
    readonly path: string;
    readonly onError: (error: Error) => void;
  }) {
    const { host, hostname, port } = new URL(options.url);
    this.#onError = options.onError;
    this.#firstHeaders = headersFrame(host, options.path, true);
    this.#headers = headersFrame(host, options.path, false);
    const callback = (length: number) => {
      this.#take(RECEIVED.subarray(0, length));
      return true;
    };
    this.#socket = connect({ host: hostname, port: Number(port), onread: { buffer: RECEIVED, callback } });
    this.#socket.setNoDelay(true);
    this.#socket.on("error", options.onError);
    this.#socket.on("end", () => options.onError(new Error("keep connections open: the server closed one")));
    this.#write(preface());
  }

  /** Opens a connection to the host and port of `url` for calls of the method `path`; `onError` is told when it breaks. */
  static async open(url: string, path: string, onError: (error: Error) => void): Promise<GrpcConnection> {
    const connection = new GrpcConnection({ url, path, onError });
    await once(connection.#socket, "connect");
    return connection;
  }

  /** Calls with a first message, as `requestOf` makes it; gives the stream on which further messages may be sent. */
  call(message: Buffer, answer: Answer): number {
    return this.#begin(message, answer, 0);
  }

  /** Calls with the one message that the method takes. */
  callOnce(message: Buffer, answer: Answer): void {
    this.#begin(message, answer, END_STREAM);
  }

  /** Sends a further message of a call. */
  send(stream: number, message: Uint8Array): void {
    const data = messageFrame(message, 0);
    data.writeUInt32BE(stream, 5);
    this.#write(data);
  }

  close(): void {
    this.#socket.removeAllListeners();
    this.#socket.on("error", () => undefined).destroy();
  }

  #begin(message: Buffer, answer: Answer, flags: number): number {
    const stream = this.#nextStream;
    this.#nextStream += 2;
    this.#calls.set(stream, answer);
    const headers = stream === 1 ? this.#firstHeaders : this.#headers;
    const request = Buffer.allocUnsafe(headers.length + message.length);
    headers.copy(request);
    message.copy(request, headers.length);
    request.writeUInt32BE(stream, 5);
    request.writeUInt32BE(stream, headers.length + 5);
    request[headers.length + 4] = flags;
    this.#write(request);
    return stream;
  }

  #write(bytes: Buffer): void {
    if (this.#isTaking) this.#unsent.push(bytes);
    else this.#socket.write(bytes);
  }

  #take(chunk: Buffer): void {
    this.#isTaking = true;
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (bytes.length - at >= FRAME_HEAD_BYTES) {
      const end = at + FRAME_HEAD_BYTES + bytes.readUIntBE(at, 3);
      if (end > bytes.length) break;
      this.#takeFrame(bytes.subarray(at, end));
      at = end;
    }
    // What is read into is read into again.
    this.#rest = at === bytes.length ? NOTHING : Buffer.from(bytes.subarray(at));
    this.#replenish(chunk.length);
    this.#isTaking = false;
    this.#flush();
  }

  #takeFrame(bytes: Buffer): void {
    const [type = 0, flags = 0] = [bytes[3], bytes[4]];
    const stream = bytes.readUInt32BE(5);
    const payload = bytes.subarray(FRAME_HEAD_BYTES);
    switch (type) {
      case FRAME_TYPES.data:
        this.#calls.get(stream)?.onData(payload);
        break;
      case FRAME_TYPES.headers:
        break;
      case FRAME_TYPES.settings:
      case FRAME_TYPES.ping:
        if ((flags & ACK) === 0) this.#write(frame(type, ACK, type === FRAME_TYPES.ping ? payload : NOTHING));
        return;
      case FRAME_TYPES.reset:
      case FRAME_TYPES.goAway:
        this.#onError(new Error(`end no call otherwise than with a status: frame ${bytes.toString("latin1")}`));
        return;
      default:
        return;
    }
    if ((flags & END_STREAM) === 0) return;
    const answer = this.#calls.get(stream);
    this.#calls.delete(stream);
    answer?.onEnd();
  }

  /** The window of the connection is made whole before it is half used. */
  #replenish(bytes: number): void {
    this.#read += bytes;
    if (this.#read < MOST_WINDOW_BYTES / 4) return;
    this.#write(widen(this.#read));
    this.#read = 0;
  }

  #flush(): void {
    const [only] = this.#unsent;
    if (only === undefined) return;
    this.#socket.write(this.#unsent.length === 1 ? only : Buffer.concat(this.#unsent));
    this.#unsent = [];
  }
}

/** A message as `call` and `callOnce` take it. */
export function requestOf(message: Uint8Array): Buffer {
  return messageFrame(message, 0);
}
