/** Plays a program of v3 requests on Muster and on etcd, step by step, and tells what differs. */
import { differences } from "../conformance/compare.ts";
import { isJsonObject, type Json } from "../conformance/json.ts";
import type { Outcome, V3Client } from "../support/v3-client.ts";
import { type Context, plainMessage } from "./v3-plain.ts";
import { type V3Step, WATCH, wireRequest } from "./v3-steps.ts";
import { V3WatchPlayer } from "./v3-watch-player.ts";

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
  const players = await Promise.all([Player.start(pair.etcd), Player.start(pair.muster)]);
  const beganAt = performance.now();
  const answers: V3AnswerPair[] = [];
  const both = async (step: V3Step, does: (player: Player) => Promise<Json>) => {
    const [etcd = null, muster = null] = await Promise.all(players.map(does));
    answers.push({ step, etcd, muster });
  };
  try {
    for (const step of [...steps, ...LAST_LOOKS]) await both(step, (player) => player.play(step));
    const [etcd = {}, muster = {}] = await Promise.all(players.map(({ watches }) => watches.finish()));
    for (const watch of new Set([...Object.keys(etcd), ...Object.keys(muster)])) {
      answers.push({
        step: { call: WATCH, request: { told: watch } },
        etcd: etcd[watch] ?? null,
        muster: muster[watch] ?? null,
      });
    }
  } finally {
    for (const { watches } of players) watches.close();
  }
  const isShort = ({ call, request }: V3Step) => call === "Lease/LeaseGrant" && Number(request.TTL ?? 0) < 10;
  return steps.some(isShort) && performance.now() - beganAt > MOST_MS ? [] : answers;
}

/** What differs in a pair, a line each. */
export function v3Differences({ etcd, muster }: V3AnswerPair): readonly string[] {
  return differences(etcd, muster);
}

/** One server, while a program is played on it. */
class Player {
  readonly watches: V3WatchPlayer;
  readonly #client: V3Client;
  readonly #start: number;

  private constructor(client: V3Client, start: number) {
    this.#client = client;
    this.#start = start;
    this.watches = new V3WatchPlayer(client, start);
  }

  static async start(client: V3Client): Promise<Player> {
    return new Player(client, await emptied(client));
  }

  async play(step: V3Step): Promise<Json> {
    const request = wireRequest(step.request, this.#start);
    if (typeof request !== "object" || request === null) throw new Error(`give an object as request: ${step.call}`);
    if (step.call === WATCH) return this.watches.play(request);
    // What a watch has not been told yet, a compaction may take away.
    if (step.call === "KV/Compact") await this.watches.settle();
    return normalised(await this.#client.call(step.call, request), { step, start: this.#start });
  }
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

function normalised(outcome: Outcome, context: Context): Json {
  const answers = outcome.answers.map((answer) => plainMessage(answer, context));
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
