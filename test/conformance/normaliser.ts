/** Brings a server's answers into the form in which the transcripts record them. */
import { type BodyContext, nameBody } from "./body-names.ts";
import type { Answer, CaseScope, Headers, ResponseAnswer } from "./case-scope.ts";
import { type IndexNames, parallelIndexNames, serialIndexNames } from "./index-names.ts";
import { isJsonObject, type Json, type JsonObject } from "./json.ts";
import { type TextNames, textNames } from "./text-names.ts";
import type { Normalize, RequestStep, Step, TranscriptCase } from "./transcript.ts";

const HEADERS_BY_VALUE = ["content-type", "allow", "location"];
const HEADERS_BY_PRESENCE = ["x-raft-index", "x-raft-term", "x-etcd-cluster-id"];

/** The answers of a case, one a step; undefined where a step has none. `overrides`: other normalizations, by step from 1. */
export function normaliseCase(
  played: TranscriptCase,
  run: { readonly scope: CaseScope; readonly answers: readonly (Answer | undefined)[] },
  overrides: ReadonlyMap<number, Normalize> = new Map(),
): (Json | undefined)[] {
  const { scope, answers } = run;
  const bodies = answers.flatMap(bodiesOf);
  const indices = played.parallel ? parallelIndexNames(bodies) : serialIndexNames(scope.startIndex);
  const names: Names = { scope, indices, texts: textNames(scope, indices, bodies) };
  return answers.map((answer, i) => {
    const step = played.steps[i];
    if (answer === undefined || step === undefined || "sleep" in step) {
      return undefined;
    }
    const normalize = overrides.get(i + 1) ?? step.normalize ?? {};
    return normaliseAnswer(answer, { request: requestOf(step, played.steps), normalize, names });
  });
}

interface Names {
  readonly scope: CaseScope;
  readonly indices: IndexNames;
  readonly texts: TextNames;
}

interface StepContext {
  readonly request: RequestStep | undefined;
  readonly normalize: Normalize;
  readonly names: Names;
}

function bodiesOf(answer: Answer | undefined): readonly Json[] {
  switch (answer?.kind) {
    case "response":
      return answer.json === undefined ? [] : [answer.json];
    case "stream":
      return answer.events;
    default:
      return [];
  }
}

/** An `await` step is judged by the request that it waits for. */
function requestOf(step: Exclude<Step, { sleep: number }>, steps: readonly Step[]): RequestStep | undefined {
  if (!("await" in step)) {
    return step;
  }
  return steps.find((other): other is RequestStep => "background" in other && other.id === step.await);
}

function normaliseAnswer(answer: Answer, context: StepContext): Json {
  switch (answer.kind) {
    case "pending":
      return { pending: true };
    case "failed":
      return { error: answer.reason };
    case "stream": {
      const headers = keptHeaders(answer.headers, answer.status, context.names);
      const events = answer.events.map((event) => nameBody(event, bodyContext(answer.receivedAt, context)));
      return { status: answer.status, headers, events, ...(answer.ended ? { ended: true } : {}) };
    }
    case "response":
      return normaliseResponse(answer, context);
  }
}

function normaliseResponse(answer: ResponseAnswer, context: StepContext): Json {
  const { status } = answer;
  if (context.normalize.statusOnly) {
    return { status };
  }
  const head = { status, headers: keptHeaders(answer.headers, status, context.names) };
  return isRedirect(status) || context.normalize.ignoreBody ? head : { ...head, body: normaliseBody(answer, context) };
}

function isRedirect(status: number): boolean {
  return status >= 300 && status < 400;
}

function keptHeaders(headers: Headers, status: number, { indices, texts }: Names): JsonObject {
  const kept: JsonObject = {};
  for (const name of HEADERS_BY_VALUE) {
    const value = headers[name];
    // The type of a redirect's body goes with the body, which is not compared.
    if (value !== undefined && !(name === "content-type" && isRedirect(status))) {
      kept[name] = texts(value);
    }
  }
  const index = headers["x-etcd-index"];
  if (index !== undefined) {
    kept["x-etcd-index"] = indices.store(Number(index));
  }
  for (const name of HEADERS_BY_PRESENCE) {
    if (headers[name] !== undefined) {
      kept[name] = "present";
    }
  }
  return kept;
}

function normaliseBody(answer: ResponseAnswer, context: StepContext): Json {
  const { normalize, names } = context;
  if (normalize.contains !== undefined) {
    const found = normalize.contains.map((text) => [text, answer.text.includes(text)]);
    return { contains: Object.fromEntries(found) };
  }
  if (answer.json === undefined) {
    return names.texts(answer.text);
  }
  const json = withoutFields(answer.json, normalize.drop ?? []);
  if (normalize.shape) {
    return shapeOf(json);
  }
  if (normalize.delta !== undefined) {
    return changeSince(names.scope.answers.get(normalize.delta), json);
  }
  return nameBody(json, bodyContext(answer.receivedAt, context));
}

function bodyContext(receivedAt: number, { request, names }: StepContext): BodyContext {
  const path = request?.path ?? "";
  return {
    indices: names.indices,
    texts: names.texts,
    beganAt: names.scope.beganAt,
    receivedAt,
    keepsOrder: /[?&]sorted=(1|t|T|true|TRUE|True)\b/.test(path),
    comparesIndex: /prevIndex/.test(path + (request?.body ?? "")),
  };
}

function withoutFields(json: Json, fields: readonly string[]): Json {
  return isJsonObject(json)
    ? Object.fromEntries(Object.entries(json).filter(([name]) => !fields.includes(name)))
    : json;
}

/** Field names and types only; a list by its first item. */
function shapeOf(json: Json): Json {
  if (Array.isArray(json)) {
    return json.slice(0, 1).map(shapeOf);
  }
  if (isJsonObject(json)) {
    return Object.fromEntries(Object.entries(json).map(([name, value]) => [name, shapeOf(value)]));
  }
  return json === null ? null : `<${typeof json}>`;
}

/** Numbers as the change since an earlier answer. */
function changeSince(before: Answer | undefined, json: Json): Json {
  const earlier = before?.kind === "response" && isJsonObject(before.json) ? before.json : {};
  if (!isJsonObject(json)) {
    return json;
  }
  const change = (name: string, value: Json): Json => {
    const was = earlier[name];
    return typeof value === "number" && typeof was === "number" ? value - was : value;
  };
  return Object.fromEntries(Object.entries(json).map(([name, value]) => [name, change(name, value)]));
}
