/** Plays a program of v3 requests on Muster and on etcd, step by step, and tells what differs. */
import { differences } from "../conformance/compare.ts";
import { isJsonObject, type Json } from "../conformance/json.ts";
import type { Outcome, V3Client } from "../support/v3-client.ts";
import { type Context, plainMessage } from "./v3-plain.ts";
import { type V3Step, WATCH, wireRequest } from "./v3-steps.ts";
import { V3WatchPlayer, type WatchPlayerOptions } from "./v3-watch-player.ts";

export interface V3Pair {
  readonly etcd: V3Client;
  readonly muster: V3Client;
  /**
   * Each of Muster's watches is told in its own time, as over an etcd, where each has a stream beneath it: there is time
   * to tell it as much as etcd did before a step may take that away, and in the end. How far it is, it says when it is
   * there, which is not compared.
   */
  readonly isToldLate?: boolean;
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

/** A watch is told first what these may take away from it. */
const SETTLED = new Set([WATCH, "KV/Compact"]);

/** Leases of the least time live longer than this. */
const MOST_MS = 900;

/** The answers of both to each step; none where the machine was so slow that short leases may have ended. */
export async function playV3Program(pair: V3Pair, steps: readonly V3Step[]): Promise<readonly V3AnswerPair[]> {
  const { isToldLate = false } = pair;
  const start = (client: V3Client) => Player.start(client, { hearsProgress: !isToldLate });
  const players = await Promise.all([start(pair.etcd), start(pair.muster)]);
  const [ofEtcd, ofMuster] = players;
  const settle = async (ofPlayer: (player: Player) => Promise<void>) => {
    await Promise.all(players.map(ofPlayer));
    if (isToldLate) await ofMuster.watches.catchUp(ofEtcd.watches);
  };
  const beganAt = performance.now();
  const answers: V3AnswerPair[] = [];
  const both = async (step: V3Step, does: (player: Player) => Promise<Json>) => {
    const [etcd = null, muster = null] = await Promise.all(players.map(does));
    answers.push({ step, etcd, muster });
  };
  try {
    for (const step of [...steps, ...LAST_LOOKS]) {
      if (SETTLED.has(step.call)) await settle((player) => player.prepare(step));
      await both(step, (player) => player.play(step));
    }
    await settle(({ watches }) => watches.settle());
    // By then what comes beyond that is there.
    if (isToldLate) await ofMuster.watches.settle();
    // A watch with large events to tell may be overtaken by the fence's, which etcd's never is.
    else await ofMuster.watches.catchUp(ofEtcd.watches);
    const [etcd, muster] = [ofEtcd.watches.told(), ofMuster.watches.told()];
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

  private constructor(client: V3Client, options: WatchPlayerOptions) {
    this.#client = client;
    this.#start = options.start;
    this.watches = new V3WatchPlayer(client, options);
  }

  static async start(client: V3Client, options: Omit<WatchPlayerOptions, "start">): Promise<Player> {
    return new Player(client, { ...options, start: await emptied(client) });
  }

  /** Waits until all is told, before one of those steps. */
  prepare(step: V3Step): Promise<void> {
    return step.call === WATCH ? this.watches.prepare(this.#requestOf(step)) : this.watches.settle();
  }

  /** Plays a step for which all is prepared. */
  async play(step: V3Step): Promise<Json> {
    const request = this.#requestOf(step);
    if (step.call === WATCH) return this.watches.play(request);
    return normalised(await this.#client.call(step.call, request), { step, start: this.#start });
  }

  #requestOf({ call, request }: V3Step): object {
    const wired = wireRequest(request, this.#start);
    if (typeof wired !== "object" || wired === null) throw new Error(`give an object as request: ${call}`);
    return wired;
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
