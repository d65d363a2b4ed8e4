/**
 * The discovery mount, on the public listener: what discovery.etcd.io answered (its server on etcd 2.3.8, as the
 * transcripts in test/conformance show), for nodes that boot, and for the people who want to know what this is.
 */
import type { Clock } from "../../base/clock.ts";
import { fairTurns } from "../../base/fair-turns.ts";
import type { HealthProbe } from "../../domain/health-probe.ts";
import type { Origin } from "../../domain/registry/origin.ts";
import type { Registry } from "../../domain/registry/registry.ts";
import { isRandomToken, parseToken, REGISTRY_ROOT, type Token } from "../../domain/registry/token.ts";
import type { TreePath } from "../../domain/tree/model.ts";
import { parsePath } from "../../domain/tree/tree-path.ts";
import type { Exchange, HttpFace } from "../face.ts";
import { answerHome } from "./discovery-home.ts";
import { answerNew } from "./discovery-new.ts";
import { cleanPath, decodePath } from "./request-path.ts";
import { answerText } from "./text-answer.ts";
import { answerMethodNotAllowed, answerNotFound, answerRedirect } from "./v2-answer.ts";
import { answerV2 } from "./v2-exchange.ts";

export interface DiscoveryFaceOptions {
  readonly registry: Registry;
  readonly probe: HealthProbe;
  readonly clock: Clock;
  /** X-Etcd-Cluster-Id. */
  readonly clusterId: string;
  /** What the URLs of new tokens begin with, without a trailing slash; absent: the Host that the request came by. */
  readonly publicUrl: string | undefined;
}

export class DiscoveryFace implements HttpFace {
  readonly name = "discovery";
  readonly #options: DiscoveryFaceOptions;

  constructor(options: DiscoveryFaceOptions) {
    this.#options = options;
  }

  claims(): boolean {
    return true;
  }

  async handle(exchange: Exchange): Promise<void> {
    const { response } = exchange;
    const path = decodePath(exchange.path);
    const clean = cleanPath(path);
    if (clean !== path && isRead(exchange)) return answerRedirect(response, clean, exchange.query);
    switch (clean) {
      case "/":
        return answerHome(exchange, this.#options.publicUrl);
      case "/new":
        return answerNew(exchange, this.#options);
      case "/health":
        return this.#health(exchange);
      case "/robots.txt":
        return answerText(response, 200, "User-agent: *\nDisallow: /");
      default:
        return this.#token(exchange, clean);
    }
  }

  async #health({ response }: Exchange): Promise<void> {
    const health = await this.#options.probe.check();
    return health.ok ? answerText(response, 200, "OK") : answerText(response, 503, health.reason);
  }

  async #token(exchange: Exchange, path: string): Promise<void> {
    const { response, request } = exchange;
    const { address, host, connection } = exchange.peer;
    const origin: Origin = { protocol: "v2", address, host, connection, scope: "public" };
    const name = nameOf(path);
    const token = isRandomToken(name) ? parseToken(name) : await this.#handMade(name);
    if (token === undefined) {
      if (path === `/${name}${WHAT_NODES_ASK_FIRST}`) this.#options.registry.tellUnknown(name, origin);
      return answerNotFound(response);
    }
    const turn = fairTurns.enter(token);
    if (turn !== undefined) await turn;
    if (!METHODS.has(request.method ?? "")) return answerMethodNotAllowed(response, [...METHODS].join(","));
    const { registry, clock, clusterId } = this.#options;
    await answerV2({ exchange, store: registry.storeFor(origin), path: treePath(path), clock, clusterId });
  }

  /** A name that /new could have made is a token, there or not; another one only if somebody made such a token. */
  async #handMade(name: string): Promise<Token | undefined> {
    const token = parseToken(name);
    if (token === undefined) return undefined;
    return (await this.#options.registry.exists(token)) ? token : undefined;
  }
}

/** Below its token; whoever asks for anything else below a name that is no token may be no node. */
const WHAT_NODES_ASK_FIRST = "/_config/size";

const METHODS: ReadonlySet<string> = new Set(["GET", "PUT", "DELETE"]);

/** Go's client follows a redirect of a GET only: etcd 0.4 writes to `//TOKEN/NAME` and was broken by the original's. */
function isRead({ request }: Exchange): boolean {
  return request.method === "GET" || request.method === "HEAD";
}

/** The first name of a path. */
function nameOf(path: string): string {
  const end = path.indexOf("/", 1);
  return end === -1 ? path.slice(1) : path.slice(1, end);
}

function treePath(path: string): TreePath {
  return parsePath(REGISTRY_ROOT + path);
}
