/** The engine over etcd, as the contract is tested on it: on an etcd of its own, and on one that somebody else owns. */
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { openEtcdEngine } from "../../src/engine/etcd/etcd-engine.ts";
import { etcdBinaries, NO_ETCD } from "../support/etcd-binaries.ts";
import { startEtcd } from "../support/etcd-server.ts";
import { Counted, shifted } from "../support/numberings.ts";
import { Tenant } from "../support/tenant.ts";
import { ToldEngine } from "../support/told-engine.ts";
import type { EngineKind, Fixture } from "./engines.ts";
import { ALL, apply, del, one, put } from "./requests.ts";

const binaries = await etcdBinaries();
const version = binaries?.version ?? "";

/** What no etcd can show. */
const LACKS: EngineKind["lacks"] = {
  fakeTime: "a real etcd runs on real time",
  stableSort: "etcd sorts with Go's sort.Sort, which is not stable",
  ...(isBefore(version, [3, 5, 16])
    ? { tombstoneAtCompaction: `etcd ${version} drops tombstones at the compaction revision (3.5.16 keeps)` }
    : {}),
  ...(isBefore(version, [3, 7, 0])
    ? {}
    : { leaseOfKeysOnly: `etcd ${version} reads keys without values from its index, which has no leases` }),
};

const advance = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function open(address: string, prefix: string): Promise<Engine> {
  return openEtcdEngine({ endpoints: [address], prefix, clock: systemClock, log: silentLog });
}

async function start() {
  if (binaries === undefined) {
    throw new Error(NO_ETCD);
  }
  return startEtcd(binaries);
}

/** An etcd that is all Muster's. */
export const etcd: EngineKind = {
  name: `etcd ${version}`,
  ...(binaries === undefined ? { absent: NO_ETCD } : {}),
  lacks: LACKS,
  start: async () => {
    const server = await start();
    return {
      open: async () => {
        let engine = await open(server.clientAddress, "");
        for (const id of await engine.leases()) {
          await engine.revokeLease(id);
        }
        // The put makes sure that the deletion makes a revision, beyond whatever was compacted before.
        await apply(engine, put("a", ""));
        const numbering = shifted((await apply(engine, del(ALL))).revision);
        const fixture = {
          engine: new ToldEngine(engine, numbering),
          restart: async () => {
            await engine.close();
            engine = await open(server.clientAddress, "");
            fixture.engine = new ToldEngine(engine, numbering);
          },
          advance,
          [Symbol.asyncDispose]: () => engine.close(),
        };
        return fixture;
      },
      stop: server.stop,
    };
  },
};

/** A prefix on an etcd whose owner writes, compacts and holds leases all the time. */
export const sharedEtcd: EngineKind = {
  name: `a prefix on somebody's etcd ${version}`,
  ...(binaries === undefined ? { absent: NO_ETCD } : {}),
  lacks: {
    ...LACKS,
    compaction: "a shared etcd is compacted by its owner",
    gapless: "on a shared etcd others make revisions in between",
  },
  start: async () => {
    const server = await start();
    const root = await open(server.clientAddress, "");
    const tenant = await Tenant.start(root);
    let tests = 0;
    return {
      open: async ({ history = true }): Promise<Fixture> => {
        const place = `test${++tests}/`;
        const prefix = `${place}m`;
        // Nothing is compacted until it is known from where on the test looks.
        tenant.keepsFrom = 0;
        const base = (await apply(root, put(`${place}z`, ""))).revision;
        tenant.keepsFrom = base;
        const counted = new Counted(root, place, base);
        await counted.stands;
        tenant.keepsFrom = history ? base : undefined;
        let engine = await open(server.clientAddress, prefix);
        const fixture = {
          engine: new ToldEngine(engine, counted),
          restart: async () => {
            await engine.close();
            engine = await open(server.clientAddress, prefix);
            fixture.engine = new ToldEngine(engine, counted);
          },
          advance,
          [Symbol.asyncDispose]: async () => {
            await engine.close();
            counted[Symbol.dispose]();
            await mustBeUnhurt(root, tenant);
            for (const id of await root.leases()) {
              if (!tenant.leases.includes(id)) await root.revokeLease(id);
            }
          },
        };
        return fixture;
      },
      stop: async () => {
        await tenant.stop();
        await root.close();
        await server.stop();
      },
    };
  },
};

/** Whatever a test did below its prefix, its neighbour has what it had. */
async function mustBeUnhurt(root: Engine, tenant: Tenant): Promise<void> {
  const leases = new Set(await root.leases());
  const { count } = await root.range({ ...one("a/0") });
  if (count !== 1 || !tenant.leases.every((id) => leases.has(id))) {
    throw new Error("a test has deleted a key, or ended a lease, that is its neighbour's");
  }
}

function isBefore(name: string, bound: readonly [number, number, number]): boolean {
  const parts = name.split(".").map(Number);
  const at = bound.findIndex((part, index) => part !== (parts[index] ?? 0));
  return at >= 0 && (parts[at] ?? 0) < (bound[at] ?? 0);
}
