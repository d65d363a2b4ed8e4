import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { type EtcdStoreOptions, openEtcdEngine } from "../../src/engine/etcd/etcd-engine.ts";

/** An engine over etcd which `await using` closes. */
export interface OpenStore extends AsyncDisposable {
  readonly engine: Engine;
}

/** Opens the store at these endpoints, with a prefix of none unless one is given. */
export async function openStoreAt(
  endpoints: readonly string[],
  options: Partial<EtcdStoreOptions> = {},
): Promise<OpenStore> {
  const engine = await openEtcdEngine({ prefix: "", clock: systemClock, log: silentLog, ...options, endpoints });
  return { engine, [Symbol.asyncDispose]: () => engine.close() };
}
