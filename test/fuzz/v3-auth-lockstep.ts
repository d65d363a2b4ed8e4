/** Plays a program of requests to the Auth service on Muster and on etcd, step by step. */
import { isJsonObject, type Json, type JsonObject } from "../conformance/json.ts";
import type { V3Client } from "../support/v3-client.ts";
import { type V3AnswerPair, type V3Pair, v3Differences } from "./v3-lockstep.ts";
import { plainMessage } from "./v3-plain.ts";
import { type V3Step, wireRequest } from "./v3-steps.ts";

/** So many permissions Go sorts by insertion, which keeps those of one key in order; more it shuffles. */
const STABLE_PERMISSIONS = 12;

/** Both servers' answers to each step that differ, and to questions for all users and roles at the end. */
export async function playAuthProgram(pair: V3Pair, steps: readonly V3Step[]): Promise<readonly V3AnswerPair[]> {
  const [etcd, muster] = await Promise.all([AuthPlayer.start(pair.etcd), AuthPlayer.start(pair.muster)]);
  const answers: V3AnswerPair[] = [];
  const both = async (step: V3Step): Promise<Json> => {
    const [ofEtcd, ofMuster] = await Promise.all([etcd.play(step), muster.play(step)]);
    answers.push({ step, etcd: ofEtcd, muster: ofMuster });
    return ofEtcd;
  };
  for (const step of steps) await both(step);
  await both({ call: "Auth/AuthStatus", request: {} });
  for (const name of textsIn(await both({ call: "Auth/UserList", request: {} }), "users")) {
    await both({ call: "Auth/UserGet", request: { name } });
  }
  for (const role of textsIn(await both({ call: "Auth/RoleList", request: {} }), "roles")) {
    await both({ call: "Auth/RoleGet", request: { role } });
  }
  return answers.filter((answer) => v3Differences(answer).length > 0);
}

class AuthPlayer {
  readonly #client: V3Client;
  readonly #start: number;

  private constructor(client: V3Client, start: number) {
    this.#client = client;
    this.#start = start;
  }

  /** Begins without a user or role. */
  static async start(client: V3Client): Promise<AuthPlayer> {
    const player = new AuthPlayer(client, 0);
    for (const name of textsIn(await player.#must("UserList", {}), "users")) await player.#must("UserDelete", { name });
    for (const role of textsIn(await player.#must("RoleList", {}), "roles")) await player.#must("RoleDelete", { role });
    return new AuthPlayer(client, Number((await player.#must("AuthStatus", {})).authRevision));
  }

  async play(step: V3Step): Promise<Json> {
    const request = wireRequest(step.request, 0);
    if (typeof request !== "object" || request === null) throw new Error(`give an object as request: ${step.call}`);
    const outcome = await this.#client.call(step.call, request);
    if (!outcome.ok) return { code: outcome.code, details: outcome.details };
    return outcome.answers.map((answer) => this.#plain(plainMessage(answer, { step, start: 0 })));
  }

  /** The revision of the keys is left out: in etcd it is not moved by users and roles. */
  #plain(answer: JsonObject): Json {
    const { header, authRevision, perm, ...rest } = answer;
    const { revision, ...identity } = isJsonObject(header) ? header : {};
    return {
      ...rest,
      header: { ...identity, revision: revision !== undefined },
      ...(authRevision === undefined ? {} : { authRevision: Number(authRevision) - this.#start }),
      ...(perm === undefined ? {} : { perm: Array.isArray(perm) ? ordered(perm) : perm }),
    };
  }

  async #must(method: string, request: JsonObject): Promise<JsonObject> {
    const step = { call: `Auth/${method}`, request };
    const outcome = await this.#client.call(step.call, request);
    const [answer] = outcome.answers;
    if (!outcome.ok || answer === undefined) throw new Error(`${method} failed: ${JSON.stringify(outcome)}`);
    return plainMessage(answer, { step, start: 0 });
  }
}

function ordered(permissions: readonly Json[]): Json[] {
  if (permissions.length <= STABLE_PERMISSIONS) return [...permissions];
  return [...permissions].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

function textsIn(answer: Json, name: string): readonly string[] {
  const [message] = Array.isArray(answer) ? answer : [answer];
  const list = isJsonObject(message) ? message[name] : undefined;
  return Array.isArray(list) ? list.filter((item) => typeof item === "string") : [];
}
