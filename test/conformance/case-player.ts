/** Plays the steps of a case against a server and collects what came of each. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Answer, type CaseScope, type Headers, noteToken } from "./case-scope.ts";
import { parseJson, parseJsonStream } from "./json.ts";
import type { RawClient, RawExchange, RawRequest } from "./raw-client.ts";
import { expandTemplate } from "./template.ts";
import { type AwaitStep, DEFAULT_WITHIN_MS, type RequestStep, type Step } from "./transcript.ts";

/** How long a long poll that is left waiting may take to show its headers, by which it is known to stand. */
const POLL_STANDS_MS = 10_000;
/** What comes of a long poll is waited for so long, whatever the transcript says: it was recorded on an idle machine. */
const ANSWER_MS = 5_000;
/** After the events that were expected, so long for ones too many. */
const SURPLUS_EVENTS_MS = 80;
/** Requests under way at a time for a step with `repeat`. */
const REPEAT_CONCURRENCY = 16;

/** The answers by step; undefined for steps that have none (a sleep, a long poll that is only started). */
export async function playSteps(
  client: RawClient,
  steps: readonly Step[],
  scope: CaseScope,
): Promise<(Answer | undefined)[]> {
  const run: CaseRun = { client, scope, polls: new Map() };
  const answers: (Answer | undefined)[] = [];
  try {
    for (const step of steps) {
      answers.push(await playStep(step, run));
    }
  } finally {
    for (const poll of run.polls.values()) {
      poll.abort("the case is over");
    }
  }
  return answers;
}

interface CaseRun {
  readonly client: RawClient;
  readonly scope: CaseScope;
  readonly polls: Map<string, RawExchange>;
}

async function playStep(step: Step, run: CaseRun): Promise<Answer | undefined> {
  if ("sleep" in step) {
    await sleep(step.sleep);
    return undefined;
  }
  if ("await" in step) {
    return awaitPoll(step, run);
  }
  if (step.background) {
    await startPoll(step, run);
    return undefined;
  }
  const answer = step.repeat === undefined ? await request(step, run) : await requestRepeatedly(step, run);
  if (step.id !== undefined) {
    run.scope.answers.set(step.id, answer);
  }
  return answer;
}

async function startPoll(step: RequestStep, run: CaseRun): Promise<void> {
  const poll = run.client.open(rawRequest(step, run.scope));
  run.polls.set(step.id ?? "", poll);
  await firstOf([poll.whenHeaders], POLL_STANDS_MS);
  if (poll.status === 0) poll.abort(`no headers in ${POLL_STANDS_MS} ms`);
}

async function awaitPoll(step: AwaitStep, run: CaseRun): Promise<Answer> {
  const poll = run.polls.get(step.await);
  if (poll === undefined) {
    throw new Error(`mend the transcript: a step awaits "${step.await}", which no step before it started`);
  }
  run.polls.delete(step.await);
  const answer = await (step.events === undefined
    ? readPoll(poll, step, run.scope)
    : readStream(poll, step, step.events));
  poll.abort("its answer has been taken");
  run.scope.answers.set(step.await, answer);
  return answer;
}

async function readPoll(poll: RawExchange, step: AwaitStep, scope: CaseScope): Promise<Answer> {
  const withinMs = step.within ?? DEFAULT_WITHIN_MS;
  await firstOf([poll.whenFinished], step.response.pending === true ? withinMs : ANSWER_MS);
  return poll.finished ? readAnswer(poll, scope) : { kind: "pending" };
}

async function readStream(stream: RawExchange, step: AwaitStep, events: number): Promise<Answer> {
  const { events: recorded } = step.response;
  await haveCome(stream, Array.isArray(recorded) ? recorded.length : 0, ANSWER_MS);
  await haveCome(stream, events, step.within ?? DEFAULT_WITHIN_MS);
  await firstOf([stream.whenFinished], SURPLUS_EVENTS_MS);
  return {
    kind: "stream",
    status: stream.status,
    headers: stream.headers,
    events: parseJsonStream(stream.text),
    ended: stream.finished,
    receivedAt: Date.now(),
  };
}

/** Waits until a stream has told so many events, is over, or the time is. */
async function haveCome(stream: RawExchange, events: number, withinMs: number): Promise<void> {
  const enough = new Promise<void>((resolve) => {
    stream.onData = () => {
      if (parseJsonStream(stream.text).length >= events) {
        resolve();
      }
    };
    stream.onData();
  });
  await firstOf([enough, stream.whenFinished], withinMs);
}

/** Waits for the first of some events, `ms` at most, and leaves no timer behind. */
async function firstOf(events: readonly Promise<void>[], ms: number): Promise<void> {
  const over = new AbortController();
  try {
    await Promise.race([...events, sleep(ms, undefined, { signal: over.signal })]);
  } finally {
    over.abort();
  }
}

async function request(step: RequestStep, run: CaseRun): Promise<Answer> {
  return readAnswer(await run.client.call(rawRequest(step, run.scope)), run.scope);
}

/** Sends it `repeat` times, the last alone, because its answer counts; an error among the others counts more. */
async function requestRepeatedly(step: RequestStep, run: CaseRun): Promise<Answer> {
  let left = (step.repeat ?? 1) - 1;
  let refused: Answer | undefined;
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      const answer = await request(step, run);
      if (answer.kind !== "response" || answer.status >= 400) {
        refused = answer;
      }
    }
  };
  await Promise.all(Array.from({ length: REPEAT_CONCURRENCY }, worker));
  const last = await request(step, run);
  return refused ?? last;
}

function rawRequest(step: RequestStep, scope: CaseScope): RawRequest {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(step.headers ?? {})) {
    headers[name] = expandTemplate(value, scope);
  }
  return { method: step.method, path: expandTemplate(step.path, scope), headers, body: rawBody(step, scope) };
}

function rawBody(step: RequestStep, scope: CaseScope): string | Buffer | undefined {
  if (step.bodyBase64 !== undefined) {
    return Buffer.from(step.bodyBase64, "base64");
  }
  return step.body === undefined ? undefined : expandTemplate(step.body, scope);
}

function readAnswer(exchange: RawExchange, scope: CaseScope): Answer {
  if (exchange.failure !== undefined) {
    return { kind: "failed", reason: exchange.failure };
  }
  const { status, text, receivedAt } = exchange;
  const headers: Headers = exchange.headers;
  return { kind: "response", status, headers, text, json: parseJson(text), token: noteToken(scope, text), receivedAt };
}
