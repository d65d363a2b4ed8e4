/** Plays a program on Muster and on etcd, step by step, and tells what differs. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Answer, CaseScope } from "../conformance/case-scope.ts";
import { parseJson, parseJsonStream } from "../conformance/json.ts";
import type { RawClient, RawExchange } from "../conformance/raw-client.ts";
import { type AnswerPair, comparedAnswers } from "./answers.ts";
import { expand } from "./expand.ts";
import { openScope, type ServerPair } from "./server-pair.ts";
import { isMortal, mayWait, type RequestStep, type Step } from "./steps.ts";

/** How long a watch may take to show its headers, by which it is known to stand. */
const WATCH_STANDS_MS = 20_000;
/** How long one server may be behind the other in telling events. */
const SETTLE_MS = 15_000;
/** How long nothing more may come once both have told as much. */
const QUIET_MS = 20;
const POLL_MS = 5;

/** Between writes of what expires: Muster counts in ms, so that the order of ends within one would be its own. */
const TIE_MS = 2;
/** Of the second that nodes live, and of the pause in which they expire. */
const MOST_DUE_MS = 600;

/** What the servers hold when the program is over. */
const LAST_LOOK: Step = { method: "GET", path: "/v2/keys{{dir}}?recursive=true&sorted=true" };

interface Played {
  readonly step: Step;
  readonly etcd: RawExchange | undefined;
  readonly muster: RawExchange | undefined;
}

/** Notices when steps after one that makes a node with a short time to live take so long that it may expire among them. */
class DueWatch {
  #since = Number.POSITIVE_INFINITY;

  isLate(step: Step): boolean {
    if ("pause" in step) {
      const late = performance.now() - this.#since > MOST_DUE_MS;
      this.#since = Number.POSITIVE_INFINITY;
      return late;
    }
    if (isMortal(step)) this.#since = Math.min(this.#since, performance.now());
    return false;
  }
}

/**
 * The answers of both to each step, normalised; the last pair is what they hold at the end. None where the machine was
 * too slow for what expires.
 */
export async function playProgram(
  pair: ServerPair,
  steps: readonly Step[],
  directory: string,
): Promise<readonly AnswerPair[]> {
  const clients = [pair.etcd, pair.muster];
  const scopes = await onBoth([0, 1], (side) => openScope(at(clients, side), directory));
  const played: Played[] = [];
  try {
    const due = new DueWatch();
    for (const step of [...steps, LAST_LOOK]) {
      if (due.isLate(step)) return [];
      const exchanges = await onBoth([0, 1], (side) => playStep(at(clients, side), step, at(scopes, side)));
      played.push({ step, etcd: exchanges[0], muster: exchanges[1] });
      if (isMortal(step)) await sleep(TIE_MS);
    }
    await settle(played);
    const answers = [played.map(({ etcd }) => answerOf(etcd)), played.map(({ muster }) => answerOf(muster))];
    return comparedAnswers(
      played.map(({ step }) => step),
      scopes.map((scope, side) => ({ scope, answers: at(answers, side) })),
    );
  } finally {
    for (const { etcd, muster } of played) {
      etcd?.abort("the program is over");
      muster?.abort("the program is over");
    }
    await onBoth(clients, (client) => cleanUp(client));
  }
}

function at<T>(list: readonly T[], place: number): T {
  const item = list[place];
  if (item === undefined) throw new Error(`there are only ${list.length} sides`);
  return item;
}

function onBoth<T, R>(sides: readonly T[], run: (side: T) => Promise<R>): Promise<R[]> {
  return Promise.all(sides.map(run));
}

async function playStep(client: RawClient, step: Step, scope: CaseScope): Promise<RawExchange | undefined> {
  if ("pause" in step) {
    await sleep(step.pause);
    return undefined;
  }
  const request = "watch" in step ? { method: "GET", path: step.watch } : step;
  const { method, headers = {} } = request;
  const path = expand(request.path, scope);
  if (!mayWait(request)) return client.call({ method, headers, path, body: bodyOf(request, scope) });
  const watch = client.open({ method, headers, path });
  await within(WATCH_STANDS_MS, watch.whenHeaders);
  return watch;
}

function bodyOf({ body, bodyBase64 }: RequestStep, scope: CaseScope): string | Buffer | undefined {
  if (bodyBase64 !== undefined) return Buffer.from(bodyBase64, "base64");
  return body === undefined ? undefined : expand(body, scope);
}

async function within(ms: number, event: Promise<void>): Promise<void> {
  const timer = new AbortController();
  await Promise.race([event, sleep(ms, undefined, { signal: timer.signal }).catch(() => undefined)]);
  timer.abort();
}

/** Waits until both servers have told their watches as much as the other, and nothing more comes. */
async function settle(played: readonly Played[]): Promise<void> {
  const watches = played.filter(({ step }) => mayWait(step));
  if (watches.length === 0) return;
  const deadline = performance.now() + SETTLE_MS;
  let evenSince: number | undefined;
  while (performance.now() < deadline) {
    if (watches.some(({ etcd, muster }) => toldBy(etcd) !== toldBy(muster))) evenSince = undefined;
    else evenSince ??= performance.now();
    if (evenSince !== undefined && performance.now() - evenSince >= QUIET_MS) return;
    await sleep(POLL_MS);
  }
}

/** An event that was told twice counts once: see the known differences. */
function toldBy(watch: RawExchange | undefined): string {
  if (watch === undefined) return "";
  const events = new Set(parseJsonStream(watch.text).map((event) => JSON.stringify(event)));
  return `${watch.finished} ${events.size}`;
}

function answerOf(exchange: RawExchange | undefined): Answer | undefined {
  if (exchange === undefined) return undefined;
  const { status, headers, text, finished, failure } = exchange;
  if (failure !== undefined) return { kind: "failed", reason: failure };
  if (status === 0) return { kind: "pending" };
  const events = parseJsonStream(text);
  if (!finished || events.length > 1) {
    return { kind: "stream", status, headers, events, ended: finished, receivedAt: Date.now() };
  }
  return {
    kind: "response",
    status,
    headers,
    text,
    json: parseJson(text),
    token: undefined,
    receivedAt: exchange.receivedAt,
  };
}

/** Leaves nothing behind, not even in-order keys in the root. */
async function cleanUp(client: RawClient): Promise<void> {
  const { text } = await client.call({ method: "GET", path: "/v2/keys/" });
  for (const [, key = ""] of text.matchAll(/"key":"(\/[^"]+)"/g)) {
    await client.call({ method: "DELETE", path: `/v2/keys${encodeURI(key)}?recursive=true` });
  }
}
