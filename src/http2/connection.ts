/** One connection of HTTP/2, as a server has it (RFC 9113): what its frames mean, and what is said back. */
import type { Socket } from "node:net";
import { NO_BYTES } from "../base/bytes.ts";
import {
  HTTP2_CONNECTION_WINDOW_BYTES,
  HTTP2_LAST_WORDS_MS,
  HTTP2_RESET_BURST,
  HTTP2_RESETS_PER_SECOND,
  HTTP2_STREAM_WINDOW_BYTES,
  MAX_STREAMS_PER_CONNECTION,
  MAX_UNREAD_BYTES,
} from "../base/http2-limits.ts";
import { MAX_HEADER_BYTES } from "../base/limits.ts";
import { Allowance } from "./allowance.ts";
import { FieldReader, type FieldSection, PRIORITY_BYTES } from "./field-reader.ts";
import { FrameSplitter, type FrameTaker } from "./frame-splitter.ts";
import {
  DEFAULT_FRAME_BYTES,
  DEFAULT_WINDOW_BYTES,
  Flag,
  type Frame,
  FrameType,
  goAwayFrame,
  numberFrame,
  readUint31,
  Setting,
  settingsFrame,
} from "./frames.ts";
import { asConnectionError, broken, ConnectionError, notCalm, tooWide, wrongSize } from "./http2-error.ts";
import { withoutPadding } from "./padding.ts";
import { PeerSettings } from "./peer-settings.ts";
import { RecentIds } from "./recent-ids.ts";
import { areTrailers, RequestHeads } from "./request-head.ts";
import { Sender } from "./sender.ts";
import { ErrorCode, type ServerStream } from "./server-stream.ts";
import { Stream, type StreamHost } from "./stream.ts";
import { StreamTable } from "./stream-table.ts";

export interface Http2ConnectionOptions {
  /** Of which nothing has been read, or what was read has been put back. */
  readonly socket: Socket;
  /** Given each request; says within the call who answers it. */
  readonly onStream: (stream: ServerStream) => void;
  /** Told why a connection broke; who answers its requests is told that they are over. */
  readonly onError: (error: Error) => void;
}

const SETTINGS = settingsFrame([
  [Setting.MAX_CONCURRENT_STREAMS, MAX_STREAMS_PER_CONNECTION],
  [Setting.INITIAL_WINDOW_SIZE, HTTP2_STREAM_WINDOW_BYTES],
  [Setting.MAX_HEADER_LIST_SIZE, MAX_HEADER_BYTES],
]);
const SETTINGS_ACK = { type: FrameType.SETTINGS, flags: Flag.ACK, streamId: 0, payload: NO_BYTES };
const WIDER_WINDOW = numberFrame(FrameType.WINDOW_UPDATE, 0, HTTP2_CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES);

/** The part of the window that is given back in one go, in bytes. */
const RETURNED_BYTES = HTTP2_CONNECTION_WINDOW_BYTES / 2;

/** To give so many streams another window costs as much as anything else that there is an allowance for. */
const STREAMS_PER_ALLOWANCE = 64;

const PING_BYTES = 8;
const GOAWAY_BYTES = 8;

/** Whoever goes on with a stream that is long over is told something else than that. */
const MOST_ENDED_IDS = 64;

const NUMBER_BYTES = 4;

export class Http2Connection implements FrameTaker, StreamHost {
  readonly #socket: Socket;
  readonly #onStream: (stream: ServerStream) => void;
  readonly #onError: (error: Error) => void;
  readonly #splitter = new FrameSplitter(this, { maxFrameBytes: DEFAULT_FRAME_BYTES });
  readonly #fields = new FieldReader();
  readonly #heads = new RequestHeads();
  readonly #peer = new PeerSettings();
  readonly #sender: Sender;
  readonly #streams = new StreamTable<Stream>();
  readonly #allowance = new Allowance({
    burst: HTTP2_RESET_BURST,
    perSecond: HTTP2_RESETS_PER_SECOND,
    monotonic: () => performance.now(),
  });
  /** Streams that were cut off here: what was on its way then still comes, and is nobody's mistake (5.4.2). */
  readonly #cutOff = new RecentIds(MAX_STREAMS_PER_CONNECTION);
  readonly #ended = new RecentIds(MOST_ENDED_IDS);
  #hasSettings = false;
  #lastStreamId = 0;
  #receiveWindow = HTTP2_CONNECTION_WINDOW_BYTES;
  /** What was taken up and not given back to the window. */
  #takenBytes = 0;
  /** The last request that was taken, once no more are: what was said of it may not be taken back (6.8). */
  #lastTaken: number | undefined;
  #isClosing = false;
  #isOver = false;

  constructor({ socket, onStream, onError }: Http2ConnectionOptions) {
    this.#socket = socket;
    this.#onStream = onStream;
    this.#onError = onError;
    this.#sender = new Sender(socket, this.#peer);
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("drain", () => socket.resume());
    socket.on("error", onError);
    socket.on("end", () => this.destroy());
    socket.on("close", () => this.#end());
    this.#sender.send(SETTINGS);
    this.#sender.send(WIDER_WINDOW);
    // One that was paused while somebody looked at its first bytes is not set going by those who listen to it.
    socket.resume();
  }

  /** How many requests are under way. */
  get openStreams(): number {
    return this.#streams.size;
  }

  /** Whether no frame is looked at any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Takes no more requests, and ends when those under way have ended. */
  close(): void {
    if (this.#isClosing || this.#isOver) return;
    this.#isClosing = true;
    this.#lastTaken = this.#lastStreamId;
    this.#sender.send(goAwayFrame(this.#lastTaken, ErrorCode.NO_ERROR, ""));
    this.#endIfDone();
  }

  /** Ends at once. */
  destroy(): void {
    this.#end();
    this.#socket.destroy();
  }

  taken(bytes: number): void {
    this.#takenBytes += bytes;
    // Where others hold most of the window, what is left of it is all that goes round.
    if (this.#takenBytes < RETURNED_BYTES && this.#takenBytes < this.#receiveWindow) return;
    this.#sender.send(numberFrame(FrameType.WINDOW_UPDATE, 0, this.#takenBytes));
    this.#receiveWindow += this.#takenBytes;
    this.#takenBytes = 0;
  }

  sendReset(streamId: number, code: ErrorCode): void {
    this.#cutOff.add(streamId);
    this.#sender.send(numberFrame(FrameType.RST_STREAM, streamId, code));
  }

  forget(stream: Stream): void {
    this.#streams.delete(stream.id);
    this.#ended.add(stream.id);
    if (this.#isClosing) this.#endIfDone();
  }

  takeFrame(taken: Frame): void {
    const { type } = taken;
    if (!this.#hasSettings && type !== FrameType.SETTINGS) throw broken("the first frame is to be SETTINGS");
    this.#fields.checkOrder(taken);
    switch (type) {
      case FrameType.DATA:
        this.#onBody(taken);
        break;
      case FrameType.HEADERS:
        this.#onSection(this.#fields.begin(taken));
        break;
      case FrameType.CONTINUATION:
        this.#onSection(this.#fields.goOn(taken));
        break;
      case FrameType.PRIORITY:
        this.#onPriority(taken);
        break;
      case FrameType.RST_STREAM:
        this.#onReset(taken);
        break;
      case FrameType.SETTINGS:
        this.#onSettings(taken);
        break;
      case FrameType.PING:
        this.#onPing(taken);
        break;
      case FrameType.GOAWAY:
        this.#onGoAway(taken);
        break;
      case FrameType.WINDOW_UPDATE:
        this.#onWindowUpdate(taken);
        break;
      case FrameType.PUSH_PROMISE:
        throw broken("clients do not push");
      default:
      // What is not known is passed over (5.5).
    }
  }

  #onData(chunk: Buffer): void {
    if (this.#isOver) return;
    // Who does not read what it asks for is not heard any further.
    if (this.#sender.unsentBytes > MAX_UNREAD_BYTES) this.#socket.pause();
    try {
      this.#splitter.push(chunk);
    } catch (error) {
      this.#fail(error);
    }
  }

  #onBody({ flags, streamId, payload }: Frame): void {
    if (streamId === 0) throw broken("DATA is of a stream");
    if (payload.length > this.#receiveWindow) {
      throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "more was sent than the connection's window takes");
    }
    this.#receiveWindow -= payload.length;
    const piece = withoutPadding(flags, payload);
    const isLast = (flags & Flag.END_STREAM) !== 0;
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      this.#checkBegun(streamId);
      this.taken(payload.length);
      if (!this.#cutOff.has(streamId)) this.#resetUnknown(streamId, ErrorCode.STREAM_CLOSED);
      return;
    }
    if (piece.length === 0 && !isLast) this.#spendAllowance();
    const mistake = stream.receive(piece, payload.length);
    if (mistake !== undefined) this.taken(payload.length);
    this.#endRequest(stream, mistake, isLast);
  }

  #onSection(section: FieldSection | undefined): void {
    if (section === undefined) return;
    const { streamId, endsStream, list, dependsOnItself } = section;
    const open = this.#streams.get(streamId);
    if (open !== undefined) {
      const isSound = endsStream && list !== undefined && areTrailers(list) && !dependsOnItself;
      this.#endRequest(open, isSound || open.isRequestWhole ? undefined : ErrorCode.PROTOCOL_ERROR, true);
    } else if (streamId <= this.#lastStreamId) {
      if (this.#cutOff.has(streamId)) return;
      if (this.#ended.has(streamId)) throw new ConnectionError(ErrorCode.STREAM_CLOSED, "the stream is over");
      throw broken("the numbers of streams are to grow");
    } else {
      if (streamId % 2 === 0) throw broken("clients give their streams odd numbers");
      this.#lastStreamId = streamId;
      this.#beginRequest(section);
    }
  }

  #beginRequest({ streamId, endsStream, list, dependsOnItself }: FieldSection): void {
    const refusal = this.#refusalOf(list, dependsOnItself);
    const head = refusal === undefined && list !== undefined ? this.#heads.read(list) : undefined;
    const isWhole = !endsStream || (head?.contentLength ?? 0) === 0;
    if (head === undefined || !isWhole) {
      this.#resetUnknown(streamId, refusal ?? ErrorCode.PROTOCOL_ERROR);
      return;
    }
    const stream = new Stream({
      id: streamId,
      host: this,
      sender: this.#sender,
      head,
      hasBody: !endsStream,
      sendWindow: this.#peer.initialWindow,
    });
    this.#streams.add(stream);
    this.#onStream(stream);
  }

  #refusalOf(list: FieldSection["list"], dependsOnItself: boolean): ErrorCode | undefined {
    if (this.#isClosing || this.#streams.size >= MAX_STREAMS_PER_CONNECTION) return ErrorCode.REFUSED_STREAM;
    if (list === undefined) return ErrorCode.ENHANCE_YOUR_CALM;
    return dependsOnItself ? ErrorCode.PROTOCOL_ERROR : undefined;
  }

  /** After a frame of a request that was in order, or was not. */
  #endRequest(stream: Stream, mistake: ErrorCode | undefined, isLast: boolean): void {
    const code = mistake ?? (isLast && !stream.isClosed ? stream.receiveEnd() : undefined);
    if (code === undefined) return;
    this.#spendAllowance();
    stream.reset(code);
  }

  #onPriority({ streamId, payload }: Frame): void {
    if (streamId === 0) throw broken("PRIORITY is of a stream");
    if (payload.length !== PRIORITY_BYTES) this.#refuse(streamId, ErrorCode.FRAME_SIZE_ERROR);
    else if (readUint31(payload, 0) === streamId) this.#refuse(streamId, ErrorCode.PROTOCOL_ERROR);
  }

  #onReset({ streamId, payload }: Frame): void {
    if (payload.length !== NUMBER_BYTES) throw wrongSize("RST_STREAM");
    this.#checkBegun(streamId);
    this.#spendAllowance();
    this.#streams.get(streamId)?.close();
  }

  #onSettings({ flags, streamId, payload }: Frame): void {
    if (streamId !== 0) throw broken("SETTINGS are of the connection");
    const isAck = (flags & Flag.ACK) !== 0;
    if (isAck && payload.length > 0) throw wrongSize("SETTINGS");
    if (isAck) return;
    this.#hasSettings = true;
    this.#spendAllowance();
    const before = this.#peer.initialWindow;
    this.#peer.take(payload);
    const wider = this.#peer.initialWindow - before;
    if (wider !== 0) this.#spendAllowance(Math.floor(this.#streams.size / STREAMS_PER_ALLOWANCE));
    for (const stream of wider === 0 ? [] : this.#streams.all()) {
      if (!stream.widen(wider)) throw tooWide();
    }
    this.#sender.send(SETTINGS_ACK);
  }

  #onPing({ flags, streamId, payload }: Frame): void {
    if (streamId !== 0) throw broken("PING is of the connection");
    if (payload.length !== PING_BYTES) throw wrongSize("PING");
    if ((flags & Flag.ACK) === 0) this.#sender.send({ type: FrameType.PING, flags: Flag.ACK, streamId: 0, payload });
  }

  /** The client begins no more requests: it is done when it is done. */
  #onGoAway({ streamId, payload }: Frame): void {
    if (streamId !== 0) throw broken("GOAWAY is of the connection");
    if (payload.length < GOAWAY_BYTES) throw wrongSize("GOAWAY");
    this.close();
  }

  #onWindowUpdate({ streamId, payload }: Frame): void {
    if (payload.length !== NUMBER_BYTES) throw wrongSize("WINDOW_UPDATE");
    const bytes = readUint31(payload, 0);
    if (streamId === 0) {
      if (bytes === 0) throw broken("a window is opened by at least a byte");
      if (!this.#sender.widen(bytes)) throw tooWide();
      return;
    }
    this.#checkBegun(streamId);
    if (bytes === 0) this.#refuse(streamId, ErrorCode.PROTOCOL_ERROR);
    else if (this.#streams.get(streamId)?.widen(bytes) === false) this.#refuse(streamId, ErrorCode.FLOW_CONTROL_ERROR);
  }

  /** @throws ConnectionError for a stream that no request has begun */
  #checkBegun(streamId: number): void {
    if (streamId > this.#lastStreamId || streamId % 2 === 0) throw broken("the stream is idle");
  }

  /** Ends a stream, which may be over, because of what the client did. */
  #refuse(streamId: number, code: ErrorCode): void {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      this.#resetUnknown(streamId, code);
    } else {
      this.#spendAllowance();
      stream.reset(code);
    }
  }

  #resetUnknown(streamId: number, code: ErrorCode): void {
    this.#spendAllowance();
    this.sendReset(streamId, code);
  }

  #spendAllowance(times = 1): void {
    if (!this.#allowance.take(times)) throw notCalm("too many requests are reset, or broken");
  }

  /** Says why, and ends: with what the client did wrong, or a defect of ours. */
  #fail(error: unknown): void {
    const told = asConnectionError(error);
    this.#onError(told);
    this.#sender.send(goAwayFrame(this.#lastTaken ?? this.#lastStreamId, told.code, told.message));
    this.#end();
    this.#sender.flush();
    this.#socket.end();
    // What the client still sends is read and dropped: a connection that is cut takes the last words with it.
    this.#cutSoon();
  }

  #endIfDone(): void {
    if (this.#streams.size > 0 || this.#isOver) return;
    this.#isOver = true;
    this.#sender.flush();
    this.#socket.end();
    // The client may take what was sent, however slowly, and is to end its side then.
    this.#socket.setTimeout(HTTP2_LAST_WORDS_MS, () => this.#socket.destroy());
    this.#socket.once("finish", () => this.#cutSoon());
  }

  #cutSoon(): void {
    const patience = setTimeout(() => this.#socket.destroy(), HTTP2_LAST_WORDS_MS);
    this.#socket.once("close", () => clearTimeout(patience));
  }

  #end(): void {
    this.#isOver = true;
    for (const stream of this.#streams.all()) stream.close();
  }
}
