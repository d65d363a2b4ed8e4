/** Opens the store that the options name: of the engines there are, the one that keeps it. */
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Engine } from "../engine/engine.ts";
import { openEtcdEngine } from "../engine/etcd/etcd-engine.ts";
import { openLmdbEngine } from "../engine/lmdb/lmdb-engine.ts";
import type { StoreConfig } from "./store-config.ts";

/** Errors: those of the engine's opening; `storeUnavailable` where an etcd cannot be reached in time. */
export async function openStore(options: {
  readonly store: StoreConfig;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<Engine> {
  const { store, clock, log } = options;
  if (store.kind === "embedded") return openLmdbEngine({ directory: store.dataDir, clock, log });
  return openEtcdEngine({ ...store, clock, log });
}
