/** The keys mount, on the client listener: etcd v2's keys API at /v2/keys, on the whole tree. */
import type { Clock } from "../../base/clock.ts";
import type { TreeStore } from "../../domain/tree/model.ts";
import { parsePath } from "../../domain/tree/tree-path.ts";
import type { Exchange, HttpFace, Peer } from "../face.ts";
import { cleanPath, decodePath } from "./request-path.ts";
import { answerRedirect } from "./v2-answer.ts";
import { answerV2 } from "./v2-exchange.ts";

const MOUNT = "/v2/keys";

export interface KeysFaceOptions {
  /** The tree as this peer may see and write it. */
  readonly storeFor: (peer: Peer) => TreeStore;
  readonly clock: Clock;
  /** X-Etcd-Cluster-Id: 16 hex digits, one for a store. */
  readonly clusterId: string;
}

export class KeysFace implements HttpFace {
  readonly name = "keys";
  readonly #options: KeysFaceOptions;

  constructor(options: KeysFaceOptions) {
    this.#options = options;
  }

  claims(rawPath: string): boolean {
    // Most paths of ours begin so as they stand; the others must be cleaned first, to be redirected here.
    if (rawPath.startsWith(`${MOUNT}/`)) return true;
    try {
      const clean = parsePath(decodePath(rawPath));
      return clean === MOUNT || clean.startsWith(`${MOUNT}/`);
    } catch {
      // Not a path that anybody could be asked for.
      return false;
    }
  }

  async handle(exchange: Exchange): Promise<void> {
    const path = decodePath(exchange.path);
    const clean = cleanPath(path);
    if (clean !== path) return answerRedirect(exchange.response, clean, exchange.query);
    const { storeFor, clock, clusterId } = this.#options;
    const store = storeFor(exchange.peer);
    await answerV2({ exchange, store, path: parsePath(path.slice(MOUNT.length)), clock, clusterId });
  }
}
