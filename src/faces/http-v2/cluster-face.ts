/**
 * What v2 clients ask around the keys, on the client listener: /version, /v2/machines, /v2/members and /v2/stats, with
 * etcd 2.3.8's methods, headers and shapes; and the redirect of every path that is not clean, as Go's server does it.
 */
import type { Clock } from "../../base/clock.ts";
import type { Exchange, HttpFace } from "../face.ts";
import { answerJson } from "./json-answer.ts";
import { memberFor } from "./member.ts";
import { answerMembers, isMembersPath, type MembersOptions } from "./members.ts";
import { cleanPath, decodePath } from "./request-path.ts";
import { Stats, type StatsOptions } from "./stats.ts";
import { answerText } from "./text-answer.ts";
import { answerMethodNotAllowed, answerRedirect } from "./v2-answer.ts";

/**
 * The release whose v2 API this is. Clients choose what they speak by it: one that reads 3.1 or newer speaks v3, which
 * is not served here.
 */
const VERSIONS = { etcdserver: "2.3.8", etcdcluster: "2.3.0" } as const;

export interface ClusterFaceOptions extends MembersOptions {
  readonly clock: Clock;
  readonly counters: StatsOptions["counters"];
}

type Answer = (exchange: Exchange) => Promise<void> | void;

export class ClusterFace implements HttpFace {
  readonly name = "cluster";
  readonly #options: ClusterFaceOptions;
  readonly #stats: Stats;

  constructor(options: ClusterFaceOptions) {
    this.#options = options;
    this.#stats = new Stats(options);
  }

  claims(rawPath: string): boolean {
    const path = tryDecode(rawPath);
    return path === undefined || cleanPath(path) !== path || this.#answerAt(path) !== undefined;
  }

  async handle(exchange: Exchange): Promise<void> {
    const path = decodePath(exchange.path);
    const clean = cleanPath(path);
    if (clean !== path) return answerRedirect(exchange.response, clean, exchange.query);
    await this.#answerAt(path)?.(exchange);
  }

  #answerAt(path: string): Answer | undefined {
    const stats = this.#stats.at(path);
    if (stats !== undefined) return (exchange) => answerRead(exchange, stats);
    if (isMembersPath(path)) return (exchange) => answerMembers(exchange, path, this.#options);
    if (path === "/version") return (exchange) => answerRead(exchange, () => JSON.stringify(VERSIONS));
    if (path === "/v2/machines") return (exchange) => this.#machines(exchange);
    return undefined;
  }

  #machines(exchange: Exchange): void {
    const { request, response } = exchange;
    if (request.method === "GET" || request.method === "HEAD") {
      answerText(response, 200, memberFor(exchange, this.#options).clientURLs.join(", "));
    } else {
      answerMethodNotAllowed(response, "GET,HEAD");
    }
  }
}

/** What etcd tells of itself can only be read, by GET alone. */
function answerRead({ request, response }: Exchange, json: () => string): void {
  if (request.method === "GET") answerJson(response, { status: 200, json: json() });
  else answerMethodNotAllowed(response, "GET");
}

/** Undefined where the percent signs of a path mean nothing: then `handle` says what is wrong with it. */
function tryDecode(rawPath: string): string | undefined {
  try {
    return decodePath(rawPath);
  } catch {
    return undefined;
  }
}
