/** Builds the parts of the service; the one file that names concrete faces (open-store.ts: engines): everything else sees contracts. */
import { randomBytes } from "node:crypto";
import type { Clock, MachineClock } from "../base/clock.ts";
import { HEALTH_PROBE_DEADLINE_MS } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { RandomPool } from "../base/random-pool.ts";
import { type ClockJump, SteadyClock } from "../base/steady-clock.ts";
import { STORE_CLOSE_MS } from "../base/store-limits.ts";
import { Traffic } from "../base/traffic.ts";
import { musterVersion } from "../base/version.ts";
import { AuthStore } from "../domain/auth/auth-store.ts";
import { HealthProbe } from "../domain/health-probe.ts";
import { openKeyspace } from "../domain/keyspace/keyspace.ts";
import { refuseHalfImport } from "../domain/move/half-import.ts";
import { PeerClocks } from "../domain/peer-clocks.ts";
import { Registry } from "../domain/registry/registry.ts";
import { TOKEN_RANDOM_BYTES } from "../domain/registry/token.ts";
import { StoreCounters } from "../domain/tree/store-counters.ts";
import { Tree } from "../domain/tree/tree.ts";
import { newestWriteTime } from "../domain/tree/tree-time.ts";
import { AutoCompactor } from "../engine/auto-compactor.ts";
import type { Engine } from "../engine/engine.ts";
import { restoreSnapshot as restoreLmdbSnapshot } from "../engine/lmdb/lmdb-restore.ts";
import { clientServices } from "../faces/etcd-v3/client-services.ts";
import { Headers } from "../faces/etcd-v3/header.ts";
import { noDiscovery } from "../faces/etcd-v3/public-errors.ts";
import { publicServices } from "../faces/etcd-v3/public-services.ts";
import { ClientHome } from "../faces/http-v2/client-home.ts";
import { ClusterFace } from "../faces/http-v2/cluster-face.ts";
import { DiscoveryFace } from "../faces/http-v2/discovery-face.ts";
import { KeysFace } from "../faces/http-v2/keys-face.ts";
import { MEMBER_NAME } from "../faces/http-v2/member.ts";
import { MetricsFace } from "../faces/ops/metrics-face.ts";
import { OpsFace } from "../faces/ops/ops-face.ts";
import type { Config } from "./config.ts";
import { openStore } from "./open-store.ts";
import { processPlace } from "./process-place.ts";
import type { Composition } from "./service.ts";
import { warningsOfStore } from "./warnings.ts";

/**
 * X-Etcd-Cluster-Id: sha1("muster"), its first eight bytes, the same on every start: clients take a change for another
 * cluster.
 */
const CLUSTER_ID = "35be2368d129d585";

/** What v2 clients see as the one member: sha1("muster member"), its first eight bytes; the same on every start too. */
const MEMBER_ID = "72971a6323cfe34c";

interface ComposeOptions {
  readonly config: Config;
  readonly log: Log;
  readonly clock: MachineClock;
}

/** Builds the service's parts from the store up. What was opened before a part that fails is closed again. */
export async function compose(options: ComposeOptions): Promise<Composition> {
  const { config, log } = options;
  const opened: Closable[] = [];
  const close = () => closeAll(opened, log);
  const keep = <T extends Closable>(part: T): T => {
    opened.push(part);
    return part;
  };
  try {
    const parts = await openParts(options, keep);
    const closeParts = config.store.kind === "etcd" ? () => closeInTime(parts.engine, opened, log) : close;
    return { ...facesOf(parts, options), warnings: parts.warnings, close: closeParts };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What stands between the store and the faces. */
interface Parts {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly counters: StoreCounters;
  readonly probe: HealthProbe;
  readonly warnings: readonly string[];
}

type Keep = <T extends Closable>(part: T) => T;

async function openParts(options: ComposeOptions, keep: Keep): Promise<Parts> {
  const { config, log } = options;
  const onJump = (jump: ClockJump) => log.warn(jump, clockNotice(jump) ?? "The machine's clock is right again");
  const own = new SteadyClock({ machine: options.clock, onJump });
  const isRemote = config.store.kind === "etcd";
  const engine = keep(await openStore({ store: config.store, clock: own, log: log.child({ part: "engine" }) }));
  await refuseHalfImport(engine);
  const warnings = await warningsOfStore({ store: config.store, engine, log });
  const { clock, notice } = isRemote
    ? await peerClock({ engine, clock: own, config, log }, keep)
    : await ownClock(engine, own);
  keep(startCompacting({ engine, ...options }));
  const counters = new StoreCounters();
  const onExpired = () => counters.count("expireCount");
  const random = new RandomPool();
  const tree = keep(
    await Tree.open({ engine, clock, log: log.child({ part: "tree" }), onExpired, isShared: isRemote }),
  );
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
  const probe = new HealthProbe({ engine, clock, notice, ...(isRemote ? { lateReason: ETCD_HANGS } : {}) });
  return { engine, clock, registry, counters, probe, warnings };
}

/** The time that everything goes by, and what the operator should know of it. */
interface ToldClock {
  readonly clock: Clock;
  readonly notice: () => string | undefined;
}

/** That of the one process on a store: no clock that is right stands before the store's newest write. */
async function ownClock(engine: Engine, clock: SteadyClock): Promise<ToldClock> {
  clock.startNotBefore(await newestWriteTime(engine));
  return { clock, notice: () => clockNotice(clock) };
}

/** That of one among several, which are compared: a writer whose clock is ahead must not take along all that start after it. */
async function peerClock(
  {
    engine,
    clock,
    config,
    log,
  }: Omit<ComposeOptions, "clock"> & { readonly engine: Engine; readonly clock: SteadyClock },
  keep: Keep,
): Promise<ToldClock> {
  const own = { id: randomBytes(8).toString("hex"), place: processPlace(config) };
  const peers = keep(PeerClocks.open({ ...own, engine, clock, log: log.child({ part: "clock" }) }));
  await peers.settled();
  return { clock: peers.clock, notice: () => peers.notice ?? clockNotice(clock) };
}

function facesOf(parts: Parts, { config, log }: ComposeOptions): Omit<Composition, "warnings" | "close"> {
  const { engine, clock, registry, counters, probe } = parts;
  const shared = { clock, clusterId: CLUSTER_ID };
  const keyspace = openKeyspace(engine);
  const headers = new Headers({ clusterId: BigInt(`0x${CLUSTER_ID}`), memberId: BigInt(`0x${MEMBER_ID}`) });
  const { maxRequestBytes, advertiseClientUrls } = config;
  const traffic = new Traffic();
  const endpoints = engine.endpoints === undefined ? undefined : () => engine.endpoints?.() ?? [];
  return {
    publicFaces: [new DiscoveryFace({ ...shared, registry, probe, publicUrl: config.publicUrl })],
    clientFaces: [
      new KeysFace({
        ...shared,
        storeFor: ({ address, host, connection }) =>
          registry.storeFor({ protocol: "v2", scope: "client", address, host, connection }),
      }),
      new ClientHome(),
      new ClusterFace({ ...shared, counters, memberId: MEMBER_ID, advertiseClientUrls }),
      new OpsFace({ probe, endpoints }),
      new MetricsFace({ version: musterVersion(), traffic, probe, engine, endpoints }),
    ],
    publicServices: publicServices({
      headers,
      registry,
      keyspace,
      log: log.child({ part: "discovery" }),
      maxRequestBytes,
    }),
    publicRefusal: noDiscovery,
    clientServices: clientServices({
      headers,
      engine,
      keyspace,
      auth: new AuthStore(engine),
      probe,
      keyspaceFor: ({ address, host, connection }) =>
        // Spelled out: it is done for every call.
        registry.keyspaceFor({ protocol: "v3", scope: "client", address, host, connection }, keyspace),
      maxRequestBytes,
      memberName: MEMBER_NAME,
      advertiseClientUrls,
      isRemote: config.store.kind === "etcd",
    }),
    traffic,
  };
}

const ETCD_HANGS = `Look after the etcd behind this Muster: it did not prove within ${HEALTH_PROBE_DEADLINE_MS} ms that it can write`;

/** Makes a data directory of a snapshot: see the engine's. */
export function restoreSnapshot(options: { readonly file: string; readonly directory: string }): Promise<void> {
  return restoreLmdbSnapshot(options);
}

function startCompacting({ engine, clock, log, config }: ComposeOptions & { readonly engine: Engine }): Closable {
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

/** Does not let the others wait for a store that does not answer: what they ask of it ends when it is closed. */
async function closeInTime(store: Closable, opened: readonly Closable[], log: Log): Promise<void> {
  const cut = setTimeout(() => void closeAll([store], log), STORE_CLOSE_MS);
  try {
    await closeAll(opened, log);
  } finally {
    clearTimeout(cut);
  }
}

/** What an operator should know of a wall clock that jumped; undefined where it did not, or is right again. */
function clockNotice({ wallAheadMs }: { readonly wallAheadMs: number }): string | undefined {
  if (wallAheadMs === 0) return undefined;
  const seconds = Math.abs(wallAheadMs / 1000).toFixed(1);
  const where = wallAheadMs > 0 ? "ahead of" : "behind";
  return `Set the machine's clock right, or restart Muster once it is: it jumped and is ${seconds} s ${where} the time that Muster goes on by, so that nothing expires early`;
}
