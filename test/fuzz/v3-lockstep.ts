/** Plays a program of v3 requests on Muster and on etcd, step by step, and tells what differs. */
import { differences } from "../conformance/compare.ts";
import { isJsonObject, type Json, type JsonObject } from "../conformance/json.ts";
import type { Outcome, V3Client } from "../support/v3-client.ts";
import { type V3Step, wireRequest } from "./v3-steps.ts";

export interface V3Pair {
  readonly etcd: V3Client;
  readonly muster: V3Client;
}

/** Both servers' answers to a step, in a form in which they can be held against each other. */
export interface V3AnswerPair {
  readonly step: V3Step;
  readonly etcd: Json;
  readonly muster: Json;
}

/** What the servers hold when the program is over. */
const LAST_LOOKS: readonly V3Step[] = [
  { call: "KV/Range", request: { key: "\0", range_end: "\0" } },
  { call: "Lease/LeaseLeases", request: {} },
];

/** Leases of the least time live longer than this. */
const MOST_MS = 900;

/** The answers of both to each step; none where the machine was so slow that short leases may have ended. */
export async function playV3Program(pair: V3Pair, steps: readonly V3Step[]): Promise<readonly V3AnswerPair[]> {
  const [etcdStart, musterStart] = await Promise.all([emptied(pair.etcd), emptied(pair.muster)]);
  const beganAt = performance.now();
  const answers: V3AnswerPair[] = [];
  for (const step of [...steps, ...LAST_LOOKS]) {
    const [etcd, muster] = await Promise.all([play(pair.etcd, step, etcdStart), play(pair.muster, step, musterStart)]);
    answers.push({ step, etcd, muster });
  }
  const isShort = ({ call, request }: V3Step) => call === "Lease/LeaseGrant" && Number(request.TTL ?? 0) < 10;
  return steps.some(isShort) && performance.now() - beganAt > MOST_MS ? [] : answers;
}

/** What differs in a pair, a line each. */
export function v3Differences({ etcd, muster }: V3AnswerPair): readonly string[] {
  return differences(etcd, muster);
}

async function play(client: V3Client, step: V3Step, start: number): Promise<Json> {
  const request = wireRequest(step.request, start);
  if (typeof request !== "object" || request === null) throw new Error(`give an object as request: ${step.call}`);
  const outcome = await client.call(step.call, request);
  return normalised(outcome, { step, start });
}

/** Leaves no key and no lease, and nothing before the revision that it answers with. */
async function emptied(client: V3Client): Promise<number> {
  const leases = parts(await must(client, "Lease/LeaseLeases", {}), "leases");
  for (const lease of leases) await must(client, "Lease/LeaseRevoke", { ID: Reflect.get(lease, "ID") });
  await must(client, "KV/Put", { key: Buffer.from("x") });
  const all = { key: Buffer.of(0), range_end: Buffer.of(0) };
  const header: unknown = Reflect.get(await must(client, "KV/DeleteRange", all), "header");
  const revision = typeof header === "object" && header !== null ? Number(Reflect.get(header, "revision")) : Number.NaN;
  await must(client, "KV/Compact", { revision });
  return revision;
}

async function must(client: V3Client, call: string, request: object): Promise<object> {
  const outcome = await client.call(call, request);
  const [answer] = outcome.answers;
  if (!outcome.ok || answer === undefined) throw new Error(`${call} failed: ${JSON.stringify(outcome)}`);
  return answer;
}

function parts(message: object, name: string): readonly object[] {
  const list: unknown = Reflect.get(message, name);
  return Array.isArray(list) ? list.filter((item) => typeof item === "object" && item !== null) : [];
}

interface Context {
  readonly step: V3Step;
  readonly start: number;
}

function normalised(outcome: Outcome, context: Context): Json {
  const answers = outcome.answers.map((answer) => plain(answer, { name: "", ...context }));
  if (!outcome.ok) return { code: outcome.code, details: outcome.details, answers };
  if (context.step.call === "KV/RangeStream") return merged(answers);
  return answers.length === 1 ? (answers[0] ?? null) : answers;
}

/** The pieces of a streamed range as one answer: how much is in each is the server's choice. */
function merged(pieces: readonly Json[]): Json {
  const ranges = pieces.map((piece) => (isJsonObject(piece) ? (piece.range_response ?? null) : null));
  const kvs = ranges.flatMap((range) => (isJsonObject(range) && Array.isArray(range.kvs) ? range.kvs : []));
  const last = ranges.at(-1);
  return { ...(isJsonObject(last) ? last : { unsound: last ?? null }), kvs };
}

const REVISIONS = new Set(["revision", "create_revision", "mod_revision"]);
/** What each server has of its own. */
const IDENTITIES = new Set(["cluster_id", "member_id", "raft_term"]);

/** A message as JSON: bytes as text, revisions counted from the start, what is each server's own only as there or not. */
function plain(part: unknown, at: Context & { readonly name: string }): Json {
  if (part instanceof Uint8Array) return Buffer.from(part).toString("latin1");
  if (Array.isArray(part))
    return listed(
      part.map((item) => plain(item, at)),
      at.name,
    );
  if (typeof part === "object" && part !== null) return fields(part, at);
  if (typeof part !== "string") return typeof part === "boolean" || typeof part === "number" ? part : null;
  if (REVISIONS.has(at.name)) return part === "0" ? part : `S+${Number(part) - at.start}`;
  return IDENTITIES.has(at.name) ? part !== "0" : part;
}

function fields(part: object, at: Context): JsonObject {
  const plainFields = Object.entries(part)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]): [string, Json] => [name, plain(value, { ...at, name })]);
  return withoutChance(Object.fromEntries(plainFields), at.step);
}

/** Lists that come in any order from etcd, in one. */
function listed(items: readonly Json[], name: string): Json[] {
  const order = (a: Json, b: Json) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
  return name === "keys" || name === "leases" ? [...items].sort(order) : [...items];
}

/** How much time a lease has left, and which ID it was given. */
function withoutChance(answer: JsonObject, { call, request }: V3Step): JsonObject {
  if (call === "Lease/LeaseTimeToLive" && Number(answer.TTL) > 0) return { ...answer, TTL: "left" };
  if (call === "Lease/LeaseLeases" && "ID" in answer && String(answer.ID).length > 3) return { ID: "chosen" };
  if (call !== "Lease/LeaseGrant" || request.ID !== undefined || !isJsonObject(answer) || !("ID" in answer))
    return answer;
  return { ...answer, ID: Number(answer.ID) > 0 ? "chosen" : (answer.ID ?? null) };
}
