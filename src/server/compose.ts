/** The one file that names concrete engines and faces: everything else sees contracts. */
import type { Clock, MachineClock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { RandomPool } from "../base/random-pool.ts";
import { type ClockJump, SteadyClock } from "../base/steady-clock.ts";
import { HealthProbe } from "../domain/health-probe.ts";
import { openKeyspace } from "../domain/keyspace/keyspace.ts";
import { Registry } from "../domain/registry/registry.ts";
import { TOKEN_RANDOM_BYTES } from "../domain/registry/token.ts";
import { StoreCounters } from "../domain/tree/store-counters.ts";
import { Tree } from "../domain/tree/tree.ts";
import { newestWriteTime } from "../domain/tree/tree-time.ts";
import { AutoCompactor } from "../engine/auto-compactor.ts";
import type { Engine } from "../engine/engine.ts";
import { openLmdbEngine } from "../engine/lmdb/lmdb-engine.ts";
import { restoreSnapshot as restoreLmdbSnapshot } from "../engine/lmdb/lmdb-restore.ts";
import { clientServices } from "../faces/etcd-v3/client-services.ts";
import { Headers } from "../faces/etcd-v3/header.ts";
import { noDiscovery } from "../faces/etcd-v3/public-errors.ts";
import { publicServices } from "../faces/etcd-v3/public-services.ts";
import { ClusterFace } from "../faces/http-v2/cluster-face.ts";
import { DiscoveryFace } from "../faces/http-v2/discovery-face.ts";
import { KeysFace } from "../faces/http-v2/keys-face.ts";
import { MEMBER_NAME } from "../faces/http-v2/member.ts";
import { OpsFace } from "../faces/ops/ops-face.ts";
import type { Config } from "./config.ts";
import type { Composition } from "./service.ts";

/**
 * X-Etcd-Cluster-Id: sha1("muster"), its first eight bytes, the same on every start: clients take a change for another
 * cluster.
 */
const CLUSTER_ID = "35be2368d129d585";

/** What v2 clients see as the one member: sha1("muster member"), its first eight bytes; the same on every start too. */
const MEMBER_ID = "72971a6323cfe34c";

/** Builds the service's parts from the store up. What was opened before a part that fails is closed again. */
export async function compose(options: {
  readonly config: Config;
  readonly log: Log;
  readonly clock: MachineClock;
}): Promise<Composition> {
  const { config, log } = options;
  const onJump = (jump: ClockJump) => log.warn(jump, clockNotice(jump) ?? "The machine's clock is right again");
  const clock = new SteadyClock({ machine: options.clock, onJump });
  const opened: Closable[] = [];
  const keep = <T extends Closable>(part: T): T => {
    opened.push(part);
    return part;
  };
  try {
    const engine = keep(await openLmdbEngine({ directory: config.dataDir, clock, log: log.child({ part: "engine" }) }));
    clock.startNotBefore(await newestWriteTime(engine));
    keep(startCompacting({ engine, ...options }));
    const counters = new StoreCounters();
    const onExpired = () => counters.count("expireCount");
    const random = new RandomPool();
    const tree = keep(await Tree.open({ engine, clock, log: log.child({ part: "tree" }), onExpired }));
    const registry = keep(
      Registry.open({
        engine,
        tree,
        clock,
        log: log.child({ part: "registry" }),
        tokenTtlMs: config.tokenTtlMs,
        randomTokenBytes: () => random.take(TOKEN_RANDOM_BYTES),
        counters,
      }),
    );
    const probe = new HealthProbe({ engine, clock, notice: () => clockNotice(clock) });
    const shared = { clock, clusterId: CLUSTER_ID };
    const keyspace = openKeyspace(engine);
    const headers = new Headers({ clusterId: BigInt(`0x${CLUSTER_ID}`), memberId: BigInt(`0x${MEMBER_ID}`) });
    return {
      publicFaces: [new DiscoveryFace({ ...shared, registry, probe, publicUrl: config.publicUrl })],
      clientFaces: [
        new KeysFace({
          ...shared,
          storeFor: ({ address, host, connection }) =>
            registry.storeFor({ protocol: "v2", scope: "client", address, host, connection }),
        }),
        new ClusterFace({
          ...shared,
          counters,
          memberId: MEMBER_ID,
          advertiseClientUrls: config.advertiseClientUrls,
        }),
        new OpsFace({ probe }),
      ],
      publicServices: publicServices({
        headers,
        registry,
        keyspace,
        log: log.child({ part: "discovery" }),
        maxRequestBytes: config.maxRequestBytes,
      }),
      publicRefusal: noDiscovery,
      clientServices: clientServices({
        headers,
        engine,
        keyspace,
        probe,
        keyspaceFor: ({ address, host, connection }) =>
          // Spelled out: it is done for every call.
          registry.keyspaceFor({ protocol: "v3", scope: "client", address, host, connection }, keyspace),
        maxRequestBytes: config.maxRequestBytes,
        memberName: MEMBER_NAME,
        advertiseClientUrls: config.advertiseClientUrls,
      }),
      close: () => closeAll(opened, log),
    };
  } catch (error) {
    await closeAll(opened, log);
    throw error;
  }
}

/** Makes a data directory of a snapshot: see the engine's. */
export function restoreSnapshot(options: { readonly file: string; readonly directory: string }): Promise<void> {
  return restoreLmdbSnapshot(options);
}

function startCompacting(options: {
  readonly engine: Engine;
  readonly config: Config;
  readonly log: Log;
  readonly clock: Clock;
}): Closable {
  const { engine, clock, log, config } = options;
  const keepMs = config.autoCompactionRetentionMs;
  if (keepMs === 0) return { close: () => Promise.resolve() };
  const keepRevisions = config.autoCompactionRevisions;
  const compactor = new AutoCompactor({ engine, clock, log: log.child({ part: "compactor" }), keepMs, keepRevisions });
  compactor.start();
  return { close: () => compactor.stop() };
}

interface Closable {
  close(): Promise<void>;
}

/** Closes in the order opposite to opening; a part that fails to close does not keep the others open. */
async function closeAll(opened: readonly Closable[], log: Log): Promise<void> {
  for (const part of [...opened].reverse()) {
    try {
      await part.close();
    } catch (err) {
      log.error({ err }, "a part failed to close");
    }
  }
}

/** What an operator should know of a wall clock that jumped; undefined where it did not, or is right again. */
function clockNotice({ wallAheadMs }: { readonly wallAheadMs: number }): string | undefined {
  if (wallAheadMs === 0) return undefined;
  const seconds = Math.abs(wallAheadMs / 1000).toFixed(1);
  const where = wallAheadMs > 0 ? "ahead of" : "behind";
  return `Set the machine's clock right, or restart Muster once it is: it jumped and is ${seconds} s ${where} the time that Muster goes on by, so that nothing expires early`;
}
