/** Muster's v3 services over a store in a directory of its own, in this process. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { AuthStore } from "../../src/domain/auth/auth-store.ts";
import { HealthProbe } from "../../src/domain/health-probe.ts";
import { openKeyspace } from "../../src/domain/keyspace/keyspace.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { openLmdbEngine } from "../../src/engine/lmdb/lmdb-engine.ts";
import { clientServices } from "../../src/faces/etcd-v3/client-services.ts";
import { Headers } from "../../src/faces/etcd-v3/header.ts";
import { serveGrpc } from "./grpc-served.ts";

export interface MusterV3 extends AsyncDisposable {
  readonly address: string;
  readonly engine: Engine;
  readonly directory: string;
}

export interface MusterV3Options {
  /** Default: a new one, which goes when it is stopped. */
  readonly directory?: string;
  /** Let the services speak as over an etcd, which keeps no file here. Default: false. */
  readonly isRemote?: boolean;
}

export async function startMusterV3({ directory, isRemote = false }: MusterV3Options = {}): Promise<MusterV3> {
  const place = directory ?? (await mkdtemp(join(tmpdir(), "muster-v3-")));
  const engine = await openLmdbEngine({ directory: place, clock: systemClock });
  const keyspace = openKeyspace(engine);
  const headers = new Headers({ clusterId: 1n, memberId: 2n });
  const probe = new HealthProbe({ engine, clock: systemClock });
  const served = await serveGrpc(
    clientServices({
      headers,
      engine: isRemote ? {} : engine,
      keyspace,
      auth: new AuthStore(engine),
      probe,
      keyspaceFor: () => keyspace,
      maxRequestBytes: 1536 * 1024,
      memberName: "muster",
      advertiseClientUrls: [],
      isRemote,
    }),
  );
  return {
    address: served.address,
    engine,
    directory: place,
    [Symbol.asyncDispose]: async () => {
      await served[Symbol.asyncDispose]();
      await engine.close();
      if (directory === undefined) await rm(place, { recursive: true });
    },
  };
}
