/** Brings the answers of both servers into a form in which they can be held against each other. */
import type { Answer, CaseScope } from "../conformance/case-scope.ts";
import { differences } from "../conformance/compare.ts";
import { eachObject, isJsonObject, type Json } from "../conformance/json.ts";
import { normaliseCase } from "../conformance/normaliser.ts";
import type { TranscriptCase } from "../conformance/transcript.ts";
import { expand } from "./expand.ts";
import { type Step, targetOf } from "./steps.ts";

/** Both servers' answers to a step, normalised: see conformance/normaliser.ts. */
export interface AnswerPair {
  readonly step: Step;
  readonly etcd: Json | undefined;
  readonly muster: Json | undefined;
}

interface Run {
  readonly scope: CaseScope;
  readonly answers: readonly (Answer | undefined)[];
}

/** What a server was asked, and what it answered. */
interface Sent {
  readonly step: Step | undefined;
  readonly scope: CaseScope;
  readonly raw: Answer | undefined;
}

export function comparedAnswers(steps: readonly Step[], runs: readonly Run[]): readonly AnswerPair[] {
  const [etcd = [], muster = []] = runs.map((run) => normalised(steps, run));
  return steps.map((step, i) => ({ step, etcd: etcd[i], muster: muster[i] }));
}

/** What differs in a pair, a line each. */
export function pairDifferences({ etcd, muster }: AnswerPair): string[] {
  return differences(etcd, withTtlsOf(etcd, muster));
}

function normalised(steps: readonly Step[], run: Run): (Json | undefined)[] {
  const played: TranscriptCase = { name: "program", about: "", area: "", steps: steps.map(transcriptStep) };
  return normaliseCase(played, run).map((answer, i) =>
    withWire(
      withoutSentIndices(answer, { step: steps[i], scope: run.scope, raw: run.answers[i] }),
      run.answers[i],
      steps[i],
    ),
  );
}

function transcriptStep(step: Step): TranscriptCase["steps"][number] {
  if ("pause" in step) return { sleep: step.pause };
  return "watch" in step ? { method: "GET", path: step.watch } : step;
}

/**
 * A redirect repeats the query and the path that were sent, with indices that count from each server's own start. A long
 * one has been made a digest of already, so that it is taken as it came.
 */
function withoutSentIndices(answer: Json | undefined, sent: Sent): Json | undefined {
  const { step, scope, raw } = sent;
  if (!isJsonObject(answer) || !isJsonObject(answer.headers) || raw?.kind !== "response") return answer;
  let { location } = raw.headers;
  if (location === undefined) return answer;
  const [path = "", query] = (step === undefined ? "" : targetOf(step)).split(/(?=\?)/s);
  if (query !== undefined) location = location.replace(expand(query, scope), () => query);
  for (const [name] of path.matchAll(/\{\{seq.*?\}\}/g)) location = location.replaceAll(expand(name, scope), name);
  location = location.replaceAll(scope.directory, "<dir>");
  return { ...answer, headers: { ...answer.headers, location } };
}

/** Adds the body as it was written, but for its numbers: the order of fields, which characters are escaped. */
function withWire(answer: Json | undefined, raw: Answer | undefined, step: Step | undefined): Json | undefined {
  if (!isJsonObject(answer) || raw?.kind !== "response" || (raw.status >= 300 && raw.status < 400)) return answer;
  const sorted = step !== undefined && "path" in step && /[?&]sorted=(1|t|T|true|TRUE|True)\b/.test(step.path);
  return sorted || !hasSiblings(raw.json) ? { ...answer, wire: wireOf(raw.text) } : answer;
}

function hasSiblings(json: Json | undefined): boolean {
  let found = false;
  eachObject(json, ({ nodes }) => {
    found ||= Array.isArray(nodes) && nodes.length > 1;
  });
  return found;
}

/** Go tells U+FFFD from bytes that are none; for who parses JSON they are the same. */
function wireOf(text: string): string {
  return text
    .replaceAll("\\ufffd", "\ufffd")
    .replace(/"expiration":"[^"]*"/g, '"expiration":""')
    .replace(/-?\d+/g, "0");
}

/** `muster` with the ttls of `etcd` where they are a second apart: one of the two was asked across its turn. */
function withTtlsOf(etcd: Json | undefined, muster: Json | undefined): Json | undefined {
  if (Array.isArray(etcd) && Array.isArray(muster)) {
    return muster.map((item, i) => withTtlsOf(etcd[i], item) ?? null);
  }
  if (!isJsonObject(etcd) || !isJsonObject(muster)) return muster;
  const adapt = ([name, value]: [string, Json]): [string, Json] => {
    const other = etcd[name];
    if (name !== "ttl" || typeof value !== "number" || typeof other !== "number") {
      return [name, withTtlsOf(other, value) ?? null];
    }
    return [name, Math.abs(value - other) <= 1 ? other : value];
  };
  return Object.fromEntries(Object.entries(muster).map(adapt));
}
