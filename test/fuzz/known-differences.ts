/**
 * Where Muster means to answer otherwise than etcd 3.4.23, each as narrow as can be, with a reason. A rule that no
 * pinned program needs any more fails the test.
 */
import { differences } from "../conformance/compare.ts";
import { isJsonObject, type Json, type JsonObject } from "../conformance/json.ts";
import { type AnswerPair, pairDifferences } from "./answers.ts";
import { mayWait, type Step, targetOf } from "./steps.ts";

interface Rule {
  readonly name: string;
  readonly reason: string;
}

/** Muster means to answer this instead of what etcd answered; what etcd answered where the rule is about something else. */
interface Replacement extends Rule {
  readonly instead: (etcd: JsonObject) => JsonObject;
}

/** Muster means to answer in another way altogether. */
interface Exception extends Rule {
  /** The servers hold different things from then on, so that the rest of the program tells nothing. */
  readonly ends?: true;
  /** Whether a pair of answers that differ differs so. */
  readonly covers: (pair: AnswerPair, lines: readonly string[]) => boolean;
}

interface Verdict {
  /** What differs and should not, a line each. */
  readonly lines: readonly string[];
  /** The names of the known differences that it shows. */
  readonly known: readonly string[];
  readonly ends: boolean;
}

/** Judges a pair of answers. */
function judged(pair: AnswerPair): Verdict {
  const known: string[] = [];
  let rest = pair;
  if (pairDifferences(pair).length > 0) {
    for (const { name, instead } of REPLACEMENTS) {
      const next = isJsonObject(rest.etcd) ? { ...rest, etcd: instead(rest.etcd) } : rest;
      if (differences(rest.etcd, next.etcd).length > 0) known.push(name);
      rest = next;
    }
  }
  const lines = pairDifferences(rest);
  const exception = lines.length === 0 ? undefined : EXCEPTIONS.find((each) => each.covers(rest, lines));
  if (exception === undefined) return { lines, known, ends: false };
  return { lines: [], known: [...known, exception.name], ends: exception.ends === true };
}

export interface ProgramVerdict {
  /** What differs and should not; the step, and a line for each difference. */
  readonly wrong: readonly { readonly step: Step; readonly lines: readonly string[] }[];
  /** The names of the known differences that it shows. */
  readonly known: ReadonlySet<string>;
}

/** Judges a program up to where a known difference ends it; watches that still stood then tell nothing. */
export function judgedProgram(answers: readonly AnswerPair[]): ProgramVerdict {
  const verdicts = answers.map((pair) => ({ step: pair.step, ...judged(pair) }));
  const end = verdicts.findIndex(({ ends }) => ends);
  const told = end < 0 ? verdicts : verdicts.slice(0, end + 1).filter(({ step }) => !mayWait(step));
  return {
    wrong: told.filter(({ lines }) => lines.length > 0),
    known: new Set(told.flatMap(({ known }) => known)),
  };
}

const REPLACEMENTS: readonly Replacement[] = [
  {
    name: "expired-directory-is-marked",
    reason: "etcd 3.4 says of an expired directory that it is one; etcd 2.3.8 does not, nor does Muster",
    instead: (etcd) => withEvents(etcd, (events) => events.map(withoutExpiredDir)),
  },
  {
    name: "stream-is-told-twice",
    reason:
      "etcd tells a stream on a node twice that this node went: once as whoever waits below a node that goes, once as whoever waits for it. Muster's streams get every event once",
    instead: (etcd) => withEvents(etcd, (events) => events.filter((event, i) => !isGoneAgain(event, events[i - 1]))),
  },
];

const EXCEPTIONS: readonly Exception[] = [
  {
    name: "no-cors",
    reason:
      'etcd 3.4 lets every web page read and write (its --cors is "*" by default) and answers OPTIONS for it; Muster\'s client listener means to be out of their reach, and answers as etcd 2.3.8 without --cors',
    covers: ({ step, etcd, muster }) =>
      "method" in step && step.method === "OPTIONS" && statusOf(etcd) === 200 && statusOf(muster) !== 200,
  },
  {
    name: "broken-escape-in-path",
    reason:
      "both refuse a path with a broken percent sign with 400 before any handler; Muster says what to do about it",
    covers: ({ step, etcd, muster }) =>
      statusOf(muster) === 400 &&
      isBrokenPath(targetOf(step)) &&
      (statusOf(etcd) === 400 || isHeadWithBody(step, etcd)),
  },
  {
    name: "raw-bytes-in-path",
    reason:
      "Node's HTTP parser refuses bytes beyond ASCII in a request line, as RFC 9112 has it, and Muster can write them otherwise only in a connection's first request; Go takes them",
    ends: true,
    covers: ({ step, muster }) => statusOf(muster) === 400 && /[^\x21-\x7e]/.test(targetOf(step)),
  },
  {
    name: "no-utf8-in-path",
    reason:
      "a path is text in Muster: bytes that are no UTF-8 are U+FFFD from the start, as JSON shows them, and not only when they are shown; a redirect spells that out",
    covers: ({ step }, lines) =>
      isNoUtf8(targetOf(step)) &&
      lines.every((line) => line.startsWith("headers.location: ") && line.includes("%EF%BF%BD")),
  },
  {
    name: "no-value-on-success",
    reason: "noValueOnSuccess came after etcd 2.3.8, which ignores it as it does every unknown field; so does Muster",
    covers: ({ step }, lines) =>
      "method" in step &&
      /noValueOnSuccess=true/.test(step.path + (step.body ?? "")) &&
      lines.every((line) => /^(body\.node|body\.prevNode|wire)[.:]/.test(line)),
  },
  {
    name: "in-order-name-taken",
    reason:
      "where somebody has chosen the name that is an in-order key's turn, etcd refuses this POST and, as its index stands, every other one until somebody writes elsewhere; Muster passes the name over",
    ends: true,
    covers: ({ step, etcd, muster }) =>
      "method" in step && step.method === "POST" && statusOf(etcd) === 412 && statusOf(muster) === 201,
  },
];

/** The names of all of them. */
export const KNOWN_DIFFERENCES: readonly string[] = [...REPLACEMENTS, ...EXCEPTIONS].map(({ name }) => name);

/** An answer with other events: of a stream, or of a long poll, which has one. */
function withEvents(answer: JsonObject, change: (events: readonly Json[]) => Json[]): JsonObject {
  if (Array.isArray(answer.events)) return { ...answer, events: change(answer.events) };
  const { body = null, wire = null } = answer;
  const [changed = null] = change([body]);
  if (differences(body, changed).length === 0) return answer;
  return { ...answer, body: changed, ...(typeof wire === "string" ? { wire: wire.replace(',"dir":true', "") } : {}) };
}

function withoutExpiredDir(event: Json): Json {
  if (!isJsonObject(event) || event.action !== "expire" || !isJsonObject(event.node)) return event;
  const { dir: _dir, ...node } = event.node;
  return { ...event, node };
}

function isGoneAgain(event: Json, before: Json | undefined): boolean {
  const action = isJsonObject(event) ? String(event.action) : "";
  return ["delete", "compareAndDelete", "expire"].includes(action) && differences(event, before).length === 0;
}

function isNoUtf8(target: string): boolean {
  const [path = ""] = target.split("?", 1);
  try {
    decodeURIComponent(path.replace(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16)}`));
    return false;
  } catch {
    return !isBrokenPath(target);
  }
}

function isBrokenPath(target: string): boolean {
  const [path = ""] = target.split("?", 1);
  return /%(?![0-9a-f]{2})/i.test(path);
}

/** Go writes the page of a bad request even to who asked for the headers only. */
function isHeadWithBody(step: Step, answer: Json | undefined): boolean {
  return (
    "method" in step && step.method === "HEAD" && isJsonObject(answer) && String(answer.error).startsWith("Parse Error")
  );
}

function statusOf(answer: Json | undefined): Json | undefined {
  return isJsonObject(answer) ? answer.status : undefined;
}
