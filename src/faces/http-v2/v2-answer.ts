/** Answers in v2's JSON and headers, as etcd 2.3.8 writes them. */
import type { ServerResponse } from "node:http";
import type { Clock } from "../../base/clock.ts";
import type { MusterError } from "../../base/errors.ts";
import type { TreeEvent, TreeNode, TreeReading } from "../../domain/tree/model.ts";
import type { Revision } from "../../engine/model.ts";
import { turns } from "../../engine/turns.ts";
import { sendWhole } from "./send-whole.ts";
import { toV2Error } from "./v2-errors.ts";
import { errorJson, eventJson, readingPieces, showsTimes } from "./v2-json.ts";

export interface V2AnswerOptions {
  readonly clock: Clock;
  /** X-Etcd-Cluster-Id: 16 hex digits, one for a store. */
  readonly clusterId: string;
}

const ALLOWED_METHODS = "HEAD,GET,PUT,POST,DELETE";

/** What Go's net/url escapes in a path, and encodeURI does not. */
const ESCAPED_BY_GO = /[?#!'()*]/g;

/** There is no raft here, so there are no elections either: the term never changes. */
const RAFT_TERM = "2";

/**
 * 200 with action get. A long one goes out in pieces, each made in a turn of its own when the one before is on its way,
 * so that neither others nor memory feel how long it is; then there is a promise, which resolves when all is written or
 * the client has gone.
 */
export function answerReading(
  response: ServerResponse,
  reading: TreeReading,
  { clock, clusterId }: V2AnswerOptions,
): Promise<void> | undefined {
  const headers = storeHeaders(reading.index, clusterId);
  const known = readingsMade.get(reading.node);
  if (known !== undefined) {
    writeJson(response, { status: 200, headers, json: known.json, bytes: known.bytes });
    return undefined;
  }
  const pieces = readingPieces(reading.node, { now: clock.now() });
  const first = pieces.next();
  if (first.done === true) {
    keepReading(reading, first.value);
    writeJson(response, { status: 200, headers, json: first.value });
    return undefined;
  }
  response.writeHead(200, headers);
  if (response.req.method !== "HEAD") return writePieces(response, first.value, pieces);
  // Whoever asks for the headers only gets no length with them, as from Go's server.
  response.end();
  return undefined;
}

/** The whole answers that readings came to, for as long as those are kept. */
const readingsMade = new WeakMap<TreeNode, { readonly json: string; readonly bytes: number }>();

/** Times to live run: an answer that shows one is good for now only. */
function keepReading({ node, kept }: TreeReading, json: string): void {
  if (kept === true && !showsTimes(json)) readingsMade.set(node, { json, bytes: Buffer.byteLength(json) });
}

async function writePieces(response: ServerResponse, first: string, rest: Generator<string, string>): Promise<void> {
  let hasRoom = response.write(first);
  while (!response.destroyed) {
    if (!hasRoom) await hasRoomOrClosed(response);
    await turns.next();
    const { done, value } = rest.next();
    if (done === true) {
      response.end(value);
      return;
    }
    hasRoom = response.write(value);
  }
}

/** Not by the exchange's signal: it ends waits when the service stops, where an answer under way gets time to finish. */
function hasRoomOrClosed(response: ServerResponse): Promise<void> {
  if (response.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    response.once("drain", done);
    response.once("close", done);
  });
}

/** 201 where the write made a node, else 200. */
export function answerEvent(response: ServerResponse, event: TreeEvent, { clock, clusterId }: V2AnswerOptions): void {
  const created = event.action === "create" || (event.action === "set" && event.prevNode === undefined);
  const headers = storeHeaders(event.index, clusterId);
  writeJson(response, { status: created ? 201 : 200, headers, json: eventJson(event, clock.now()) });
}

/** The error as {errorCode, message, cause, index}, with the status that etcd gives it. */
export function answerError(response: ServerResponse, error: MusterError, { clusterId }: V2AnswerOptions): void {
  const { status, ...body } = toV2Error(error);
  const headers = ["X-Etcd-Cluster-Id", clusterId, "X-Etcd-Index", String(body.index), ...JSON_TYPE];
  writeJson(response, { status, headers, json: errorJson(body) });
}

/** Sends the headers of a wait at once: clients take them as the sign that the watch stands. */
export function beginWait(response: ServerResponse, index: Revision, { clusterId }: V2AnswerOptions): void {
  response.writeHead(200, storeHeaders(index, clusterId));
  response.flushHeaders();
}

/** 405 in plain text with Allow, as etcd's. */
export function answerMethodNotAllowed(response: ServerResponse, allow: string = ALLOWED_METHODS): void {
  writePlain(response, { status: 405, headers: { Allow: allow }, plain: "Method Not Allowed\n" });
}

/** 301 to a path of ours that is clean; the query goes along. */
export function answerRedirect(response: ServerResponse, path: string, query: string): void {
  const target = encodeURI(path).replace(
    ESCAPED_BY_GO,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  const location = query === "" ? target : `${target}?${query}`;
  writePlain(response, { status: 301, headers: { Location: location }, plain: "Moved Permanently\n" });
}

/** 404 in plain text, as Go's ("404 page not found"). */
export function answerNotFound(response: ServerResponse): void {
  writePlain(response, { status: 404, headers: {}, plain: "404 page not found\n" });
}

const JSON_TYPE: readonly string[] = ["Content-Type", "application/json"];

/** Names and values in turn, which Node writes as they stand: every answer has them, and objects take longer. */
function storeHeaders(index: Revision, clusterId: string): string[] {
  const shown = String(index);
  return [
    "X-Etcd-Cluster-Id",
    clusterId,
    "X-Etcd-Index",
    shown,
    "X-Raft-Index",
    shown,
    "X-Raft-Term",
    RAFT_TERM,
    ...JSON_TYPE,
  ];
}

function writeJson(
  response: ServerResponse,
  answer: {
    readonly status: number;
    /** All but the length. */
    readonly headers: readonly string[];
    readonly json: string;
    /** How many bytes of UTF-8 it is, where that is known. */
    readonly bytes?: number;
  },
): void {
  const { status, headers, json, bytes = Buffer.byteLength(json) } = answer;
  response.writeHead(status, [...headers, "Content-Length", String(bytes)]);
  sendWhole(response, json);
}

function writePlain(
  response: ServerResponse,
  answer: { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly plain: string },
): void {
  response.writeHead(answer.status, { ...answer.headers, "Content-Type": "text/plain; charset=utf-8" });
  response.end(answer.plain);
}
