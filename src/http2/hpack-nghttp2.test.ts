/** What nghttp2 encodes, node:http2's library, is decoded here as it was; and what is encoded here, by it. */
import { once } from "node:events";
import { type ClientHttp2Session, connect, type IncomingHttpHeaders, sensitiveHeaders } from "node:http2";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import type { Field } from "./field.ts";
import { type FieldLimits, HpackDecoder } from "./hpack-decoder.ts";
import { encodeFields } from "./hpack-encoder.ts";

type Pair = readonly [name: string, value: string];

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEADER_BYTES = 9;
const MOST_FRAME_BYTES = 16_384;
const HEADERS = 1;
const SETTINGS = 4;
const CONTINUATION = 9;
const HEADER_TABLE_SIZE = 1;
const MAX_HEADER_LIST_SIZE = 6;
const END_STREAM = 0x1;
const ACK = 0x1;
const END_HEADERS = 0x4;
const PADDED = 0x8;
const HAS_PRIORITY = 0x20;

const LIMITS = { maxBytes: 65_536, maxFields: 200 };
const TABLE_BYTES = 4_096;
const MOST_BLOCK_BYTES = 1_000_000;

function frame(
  type: number,
  flags: number,
  content: { readonly stream: number; readonly payload: Uint8Array },
): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  header.writeUIntBE(content.payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(content.stream, 5);
  return Buffer.concat([header, content.payload]);
}

function settings(values: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(values.length * 6);
  values.forEach(([id, value], at) => {
    payload.writeUInt16BE(id, at * 6);
    payload.writeUInt32BE(value, at * 6 + 2);
  });
  return frame(SETTINGS, 0, { stream: 0, payload });
}

/** The header block's part of a HEADERS frame, without padding and priority. */
function fragmentOf(payload: Buffer, flags: number): Buffer {
  const padding = flags & PADDED ? payload.readUInt8(0) : 0;
  const begin = (flags & PADDED ? 1 : 0) + (flags & HAS_PRIORITY ? 5 : 0);
  return payload.subarray(begin, payload.length - padding);
}

/** A block as a HEADERS frame and as many others as it needs. */
function headersFrames(stream: number, block: Uint8Array): readonly Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at === 0 || at < block.length; at += MOST_FRAME_BYTES) {
    const payload = block.subarray(at, at + MOST_FRAME_BYTES);
    const isLast = at + payload.length === block.length;
    const flags = (at === 0 ? END_STREAM : 0) | (isLast ? END_HEADERS : 0);
    frames.push(frame(at === 0 ? HEADERS : CONTINUATION, flags, { stream, payload }));
  }
  return frames;
}

/** One connection, of which no more than header blocks is understood. Each request is answered with `answer`. */
class RawServer {
  readonly #server: Server = createServer((socket) => this.#serve(socket));
  readonly #answers: Uint8Array[] = [];
  readonly blocks: Buffer[] = [];
  readonly acks: (() => void)[] = [];
  #socket: Socket | undefined;
  #bytes = Buffer.alloc(0);
  #block: Buffer[] = [];
  #hasPreface = false;

  async listen(): Promise<number> {
    await once(this.#server.listen(0, "127.0.0.1"), "listening");
    const address: AddressInfo | string | null = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("a TCP server has a port");
    return address.port;
  }

  close(): void {
    this.#socket?.destroy();
    this.#server.close();
  }

  /** Each is answered with the next of these. */
  answer(block: Uint8Array): void {
    this.#answers.push(block);
  }

  /** Resolves when the client goes by them. */
  async set(values: readonly (readonly [id: number, value: number])[]): Promise<void> {
    const acknowledged = new Promise<void>((resolve) => this.acks.push(resolve));
    this.#socket?.write(settings(values));
    await acknowledged;
  }

  #serve(socket: Socket): void {
    this.#socket = socket;
    // The settings that every connection begins with are acknowledged like all others.
    this.acks.push(() => {});
    socket.write(settings([]));
    socket.on("error", () => {});
    // Nobody waits in vain: what is asked next of a connection that is gone fails.
    socket.on("close", () => {
      for (const acknowledge of this.acks.splice(0)) acknowledge();
    });
    socket.on("data", (chunk) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      if (!this.#hasPreface) {
        if (this.#bytes.length < PREFACE.length) return;
        this.#bytes = this.#bytes.subarray(PREFACE.length);
        this.#hasPreface = true;
      }
      this.#readFrames(socket);
    });
  }

  #readFrames(socket: Socket): void {
    while (this.#bytes.length >= FRAME_HEADER_BYTES) {
      const end = FRAME_HEADER_BYTES + this.#bytes.readUIntBE(0, 3);
      if (this.#bytes.length < end) return;
      const whole = this.#bytes.subarray(0, end);
      this.#bytes = this.#bytes.subarray(end);
      this.#take(whole, socket);
    }
  }

  #take(whole: Buffer, socket: Socket): void {
    const type = whole.readUInt8(3);
    const flags = whole.readUInt8(4);
    const payload = whole.subarray(FRAME_HEADER_BYTES);
    if (type === SETTINGS) {
      if (flags & ACK) this.acks.shift()?.();
      else socket.write(frame(SETTINGS, ACK, { stream: 0, payload: Buffer.alloc(0) }));
    }
    if (type !== HEADERS && type !== CONTINUATION) return;
    this.#block.push(type === HEADERS ? fragmentOf(payload, flags) : payload);
    if ((flags & END_HEADERS) === 0) return;
    this.blocks.push(Buffer.concat(this.#block));
    this.#block = [];
    const answer = this.#answers.shift() ?? encodeFields([[":status", "200"]]);
    for (const part of headersFrames(whole.readUInt32BE(5), answer)) socket.write(part);
  }
}

/** A server, a client of it, and a decoder of what came. */
class Stage {
  readonly #server = new RawServer();
  readonly #decoder = new HpackDecoder({ tableBytes: TABLE_BYTES });
  #client: ClientHttp2Session | undefined;

  async open(): Promise<void> {
    const port = await this.#server.listen();
    const client = connect(`http://127.0.0.1:${port}`, {
      maxDeflateDynamicTableSize: TABLE_BYTES,
      maxSendHeaderBlockLength: MOST_BLOCK_BYTES,
      settings: { maxHeaderListSize: MOST_BLOCK_BYTES },
    });
    client.on("error", () => {});
    await once(client, "remoteSettings");
    this.#client = client;
  }

  close(): void {
    this.#client?.destroy();
    this.#server.close();
  }

  /** How large the client's table may be, and how many bytes its lists, which is advice that nghttp2 does not follow. */
  async advise(advice: { readonly tableBytes: number; readonly listBytes: number }): Promise<void> {
    await this.#server.set([
      [HEADER_TABLE_SIZE, advice.tableBytes],
      [MAX_HEADER_LIST_SIZE, advice.listBytes],
    ]);
  }

  /** Sends a request; gives what was decoded of it, and what the client made of the answer. */
  async exchange(request: Request, answer: readonly Pair[], limits: FieldLimits): Promise<Exchanged> {
    this.#server.answer(encodeFields([[":status", "200"], ...answer]));
    const headers = { ...Object.fromEntries(request.fields), [sensitiveHeaders]: [...request.sensitive] };
    const stream = this.#client?.request(headers, { endStream: true });
    if (stream === undefined) throw new Error("open the stage first");
    const response = await new Promise<IncomingHttpHeaders>((resolve, reject) => {
      stream.once("response", resolve);
      stream.once("error", reject);
      stream.once("close", () => reject(new Error(`the stream closed without an answer: ${stream.rstCode}`)));
    });
    stream.resume();
    const block = this.#server.blocks.shift();
    if (block === undefined) throw new Error("a request was answered that has not come");
    return { decoded: this.#decoder.decode(block, limits), response };
  }
}

interface Request {
  readonly fields: readonly (readonly [name: string, value: string | string[]])[];
  /** Names of fields that no table may hold. */
  readonly sensitive: readonly string[];
}

interface Exchanged {
  readonly decoded: readonly Field[] | undefined;
  readonly response: IncomingHttpHeaders;
}

/** Without DEL, of which nghttp2 lets no value through that it receives. */
const octet = fc
  .oneof(fc.integer({ min: 0x21, max: 0x7e }), fc.integer({ min: 0x80, max: 0xff }))
  .map((code) => String.fromCharCode(code));
const value = fc.oneof(
  { arbitrary: fc.constantFrom("", "trailers", "application/grpc", "gzip, deflate", "4999873u"), weight: 2 },
  { arbitrary: fc.string({ unit: "grapheme-ascii", maxLength: 40 }).map((text) => text.trim()), weight: 4 },
  { arbitrary: fc.string({ unit: octet, maxLength: 300 }), weight: 2 },
  // Beyond the table, and beyond a frame.
  { arbitrary: fc.string({ unit: octet, minLength: 5, maxLength: 20 }).map((text) => text.repeat(1_000)), weight: 1 },
);
const ownName = fc.oneof(
  fc.constantFrom("x-first", "x-second", "grpc-timeout", "x-third"),
  fc.stringMatching(/^x[a-z0-9_.!#$%&'*+^`|~-]{0,30}$/),
);
const knownName = fc.constantFrom("authorization", "content-type", "te", "user-agent", "accept-encoding", "age");
const field = fc.oneof(
  { arbitrary: fc.tuple(knownName, value), weight: 3 },
  // Few names and many values, again and again: what a table is for.
  { arbitrary: fc.tuple(fc.constantFrom("x-first", "x-second", "x-third"), fc.nat(20).map(String)), weight: 6 },
  { arbitrary: fc.tuple(ownName, value), weight: 3 },
  { arbitrary: fc.tuple(ownName, fc.array(value, { minLength: 1, maxLength: 4 })), weight: 1 },
);
const byName = ([name]: readonly [string, string | string[]]): string => name;

const request: fc.Arbitrary<Request> = fc
  .record({
    path: fc.constantFrom("/", "/etcdserverpb.KV/Range", "/etcdserverpb.KV/Put"),
    fields: fc.uniqueArray(field, { selector: byName, maxLength: 12, size: "max" }),
    isSensitive: fc.infiniteStream(fc.boolean()),
  })
  .map(({ path, fields, isSensitive }) => ({
    fields: [
      [":method", "POST"],
      [":scheme", "http"],
      [":authority", "127.0.0.1:2379"],
      [":path", path],
      ...fields.filter(([name, sent]) => name !== "te" || sent === "trailers"),
    ],
    sensitive: fields.map(byName).filter(() => isSensitive.next().value),
  }));
const limits = fc.oneof(
  { arbitrary: fc.constant(LIMITS), weight: 4 },
  { arbitrary: fc.record({ maxBytes: fc.nat(3_000), maxFields: fc.nat(16) }), weight: 1 },
);
const answer = fc.uniqueArray(fc.tuple(ownName, value), { selector: byName, maxLength: 6 });
const step = fc.oneof(
  { arbitrary: fc.record({ request, answer, limits }), weight: 8 },
  {
    arbitrary: fc.array(fc.record({ tableBytes: fc.nat(TABLE_BYTES), listBytes: fc.nat(70_000) }), {
      minLength: 1,
      maxLength: 3,
    }),
    weight: 1,
  },
);

function expected(sent: Request, within: FieldLimits): readonly Pair[] | undefined {
  const pairs = sent.fields.flatMap(([name, values]): readonly Pair[] =>
    typeof values === "string" ? [[name, values]] : values.map((one): Pair => [name, one]),
  );
  const bytes = pairs.reduce((sum, [name, one]) => sum + name.length + one.length + 32, 0);
  return bytes > within.maxBytes || pairs.length > within.maxFields ? undefined : pairs;
}

describe("HpackDecoder and nghttp2", () => {
  const opened: Stage[] = [];

  afterEach(() => {
    for (const stage of opened.splice(0)) stage.close();
  });

  async function stage(): Promise<Stage> {
    const one = new Stage();
    opened.push(one);
    await one.open();
    return one;
  }

  test("HpackDecoder: what nghttp2 encodes is decoded as it was, and what is encoded here by nghttp2", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 80, size: "max" }), async (steps) => {
        const over = await stage();
        for (const one of steps) {
          if (!("request" in one)) {
            for (const advice of one) await over.advise(advice);
            continue;
          }
          const { decoded, response } = await over.exchange(one.request, one.answer, one.limits);
          expect(decoded?.map(({ name, value }): Pair => [name, value])).toEqual(expected(one.request, one.limits));
          expect(decoded?.every(({ isSound }) => isSound) ?? true).toBe(true);
          expect(response).toMatchObject(Object.fromEntries(one.answer));
        }
        over.close();
      }),
      { numRuns: 20 },
    );
  });
});
