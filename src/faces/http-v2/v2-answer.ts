/** Answers in v2's JSON and headers, as etcd 2.3.8 writes them. */
import type { ServerResponse } from "node:http";
import type { Clock } from "../../base/clock.ts";
import type { MusterError } from "../../base/errors.ts";
import type { TreeEvent, TreeReading } from "../../domain/tree/model.ts";
import type { Revision } from "../../engine/model.ts";
import { turns } from "../../engine/turns.ts";
import { toV2Error } from "./v2-errors.ts";
import { errorJson, eventJson, readingPieces } from "./v2-json.ts";

export interface V2AnswerOptions {
  readonly clock: Clock;
  /** X-Etcd-Cluster-Id: 16 hex digits, one for a store. */
  readonly clusterId: string;
}

const ALLOWED_METHODS = "HEAD,GET,PUT,POST,DELETE";

/** There is no raft here, so there are no elections either: the term never changes. */
const RAFT_TERM = "2";

/**
 * 200 with action get. A long one goes out in pieces, each made in a turn of its own when the one before is on its way,
 * so that neither others nor memory feel how long it is. Resolves when all is written or the client has gone.
 */
export async function answerReading(
  response: ServerResponse,
  { node, index }: TreeReading,
  { clock, clusterId }: V2AnswerOptions,
): Promise<void> {
  const pieces = readingPieces(node, { now: clock.now() });
  const headers = storeHeaders(index, clusterId);
  const first = pieces.next();
  if (first.done === true) return writeJson(response, { status: 200, headers, json: first.value });
  response.writeHead(200, { ...headers, "Content-Type": "application/json" });
  // Whoever asks for the headers only gets no length with them, as from Go's server.
  if (response.req.method === "HEAD") response.end();
  else await writePieces(response, first.value, pieces);
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
  const headers = { "X-Etcd-Cluster-Id": clusterId, "X-Etcd-Index": String(body.index) };
  writeJson(response, { status, headers, json: errorJson(body) });
}

/** Sends the headers of a wait at once: clients take them as the sign that the watch stands. */
export function beginWait(response: ServerResponse, index: Revision, { clusterId }: V2AnswerOptions): void {
  response.writeHead(200, { ...storeHeaders(index, clusterId), "Content-Type": "application/json" });
  response.flushHeaders();
}

/** 405 in plain text with Allow, as etcd's. */
export function answerMethodNotAllowed(response: ServerResponse, allow: string = ALLOWED_METHODS): void {
  writePlain(response, { status: 405, headers: { Allow: allow }, plain: "Method Not Allowed\n" });
}

/** 301 to a path of ours that is clean; the query goes along. */
export function answerRedirect(response: ServerResponse, path: string, query: string): void {
  const target = encodeURI(path).replace(/[?#]/g, encodeURIComponent);
  const location = query === "" ? target : `${target}?${query}`;
  writePlain(response, { status: 301, headers: { Location: location }, plain: "Moved Permanently\n" });
}

/** 404 in plain text, as Go's ("404 page not found"). */
export function answerNotFound(response: ServerResponse): void {
  writePlain(response, { status: 404, headers: {}, plain: "404 page not found\n" });
}

function storeHeaders(index: Revision, clusterId: string): Readonly<Record<string, string>> {
  const shown = String(index);
  return {
    "X-Etcd-Cluster-Id": clusterId,
    "X-Etcd-Index": shown,
    "X-Raft-Index": shown,
    "X-Raft-Term": RAFT_TERM,
  };
}

function writeJson(
  response: ServerResponse,
  answer: { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly json: string },
): void {
  response.writeHead(answer.status, {
    ...answer.headers,
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(answer.json),
  });
  response.end(answer.json);
}

function writePlain(
  response: ServerResponse,
  answer: { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly plain: string },
): void {
  response.writeHead(answer.status, { ...answer.headers, "Content-Type": "text/plain; charset=utf-8" });
  response.end(answer.plain);
}
