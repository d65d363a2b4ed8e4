/** A client of the v2 keys API that tells what is known of each request's outcome. */
import { z } from "zod";
import type { Change, Found, WriteOutcome } from "./history.ts";
import { type HttpAnswer, HttpClient, NoAnswer } from "./http-client.ts";
import type { Written } from "./recorder.ts";
import { CLIENT_TIMEOUT_MS, type Target } from "./target.ts";

const node = z.object({
  key: z.string(),
  value: z.string().optional(),
  modifiedIndex: z.number(),
  createdIndex: z.number(),
});
const told = z.object({ action: z.string(), node });
const refusal = z.object({ errorCode: z.number(), cause: z.string().optional(), index: z.number() });

/** How a 503 begins that says that the store has not taken the write. */
const NOT_APPLIED = /"cause":\s*"Look after etcd/;

export interface V2WriteOptions {
  readonly prevIndex?: number;
  readonly prevExist?: boolean;
  readonly ttl?: number;
  /** In order: the server chooses the key below the given one. */
  readonly inOrder?: boolean;
}

/** Told an answer that no client should get. */
export type OnOddity = (what: string) => void;

export class V2Client implements Disposable {
  readonly #http = new HttpClient();
  readonly #onOddity: OnOddity;

  constructor(onOddity: OnOddity) {
    this.#onOddity = onOddity;
  }

  async put(
    target: Target,
    { key, value }: { readonly key: string; readonly value: string },
    options: V2WriteOptions = {},
  ): Promise<Written> {
    const { inOrder = false, ...conditions } = options;
    const form = {
      value,
      ...Object.fromEntries(Object.entries(conditions).map(([name, each]) => [name, String(each)])),
    };
    const url = `${target.clientUrl}/v2/keys${key}`;
    const answer = await this.#ask({ method: inOrder ? "POST" : "PUT", url, form, timeoutMs: CLIENT_TIMEOUT_MS });
    if (answer instanceof NoAnswer) {
      return { outcome: { kind: answer.unsent ? "refused" : "unknown", why: answer.message } };
    }
    if (answer.status === 200 || answer.status === 201) {
      const made = told.parse(JSON.parse(answer.body)).node;
      return { outcome: { kind: "done", revision: made.modifiedIndex }, key: made.key };
    }
    return { outcome: this.#refusalOf(answer, url) };
  }

  /** What stands there; undefined where nobody says. */
  async get(target: Target, key: string): Promise<Found | undefined> {
    const url = `${target.clientUrl}/v2/keys${key}`;
    const answer = await this.#ask({ method: "GET", url, timeoutMs: CLIENT_TIMEOUT_MS });
    if (answer instanceof NoAnswer) return undefined;
    const storeRevision = Number(answer.headers["x-etcd-index"]);
    if (answer.status === 200) {
      const { modifiedIndex, value = "" } = told.parse(JSON.parse(answer.body)).node;
      return { storeRevision, modRevision: modifiedIndex, value };
    }
    const outcome = this.#refusalOf(answer, url);
    const isMissing = outcome.kind === "refused" && outcome.why.startsWith("404");
    return isMissing ? { storeRevision, modRevision: 0, value: "" } : undefined;
  }

  /** The first change of a file below a directory from an index on; undefined where none came while the connection held. */
  async next(
    target: Target,
    { directory, from, signal }: { readonly directory: string; readonly from: number; readonly signal: AbortSignal },
  ): Promise<Change | undefined> {
    const url = `${target.clientUrl}/v2/keys${directory}?wait=true&recursive=true&waitIndex=${from}`;
    const answer = await this.#ask({ method: "GET", url, timeoutMs: 2 * CLIENT_TIMEOUT_MS, signal });
    // Headers come before the event: an answer without one ends a wait that has none.
    if (answer instanceof NoAnswer || answer.body.trim() === "") return undefined;
    if (answer.status !== 200) {
      const outcome = this.#refusalOf(answer, url);
      if (outcome.kind === "refused" && !outcome.why.startsWith("503")) throw new Error(outcome.why);
      return undefined;
    }
    const event = told.parse(JSON.parse(answer.body));
    return { revision: event.node.modifiedIndex, key: event.node.key, value: event.node.value };
  }

  [Symbol.dispose](): void {
    this.#http[Symbol.dispose]();
  }

  async #ask(question: Parameters<HttpClient["ask"]>[0]): Promise<HttpAnswer | NoAnswer> {
    try {
      return await this.#http.ask(question);
    } catch (error) {
      if (error instanceof NoAnswer) return error;
      throw error;
    }
  }

  #refusalOf({ status, body }: HttpAnswer, url: string): Exclude<WriteOutcome, { kind: "done" }> {
    const why = `${status} ${body.trim()}`;
    if (status === 503) return { kind: NOT_APPLIED.test(body) ? "refused" : "unknown", why };
    const isKnown = (status === 404 || status === 412) && refusal.safeParse(parsed(body)).success;
    if (!isKnown) this.#onOddity(`${url} was answered ${why}`);
    return { kind: isKnown ? "refused" : "unknown", why };
  }
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
