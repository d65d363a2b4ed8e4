/** What the figures of etcd v3 share: both servers, the load that speaks gRPC to them, and the keys. */
import type { GrpcJob } from "../load/jobs.ts";
import type { Load } from "../load/load.ts";
import { startEtcd } from "../peers/etcd.ts";
import { type EtcdBinaries, newestEtcd } from "../peers/etcd-binaries.ts";
import { startMuster } from "../peers/muster.ts";
import type { Server } from "../peers/server.ts";
import type { Context } from "./figure.ts";
import type { HttpMeasure } from "./http-measure.ts";
import { cpuTimeMs } from "./process-stats.ts";

export const VALUE_BYTES = 100;
export const KEYS = 10_000;

/** Puts of so many keys, over and over: `/bench/00000000` and so on. */
export const PUTS = { kind: "put", prefix: "/bench/", keys: KEYS, valueBytes: VALUE_BYTES } as const;

/** One of them. */
export const KEY = "/bench/00000000";

/** How a figure says what its keys are. */
export const KEYS_TEXT = `${KEYS.toLocaleString("en")} keys of ${KEY.length} bytes (${KEY} and on), each with a value of ${VALUE_BYTES} bytes`;

/** So many clients on so many connections. */
export type Clients = Pick<GrpcJob, "clients" | "connections">;

/** How many clients share a connection, where there are as many. etcd's own figures have ten. */
const CLIENTS_PER_CONNECTION = 8;

export function clientsOf(clients: number): Clients {
  return { clients, connections: Math.ceil(clients / CLIENTS_PER_CONNECTION) };
}

export function clientsText({ clients, connections }: Clients): string {
  return clients === 1
    ? "one client on one connection, one call at a time"
    : `${clients} clients on ${connections} connections, one call at a time each`;
}

/** A side of a comparison: a server that is started anew by each call. */
export interface Peers {
  muster(): Promise<Server>;
  etcd(): Promise<Server>;
  /** Which etcd it is. */
  readonly version: string;
}

/** Muster's client listener, and the newest etcd that there is. */
export async function v3Peers({ scratch }: Context, debian: EtcdBinaries): Promise<Peers> {
  const binaries = await newestEtcd(debian);
  return {
    muster: () => startMuster(scratch.directory("muster"), { listener: "client" }),
    etcd: () => startEtcd(binaries, scratch.directory("etcd"), { api: "v3" }),
    version: binaries.version,
  };
}

/** Puts every key once. */
export async function fillKeys(load: Load, server: Server): Promise<void> {
  await load.grpc({ url: server.url, ...clientsOf(64), call: PUTS, count: KEYS });
}

/** One round of calls on one server: how many a second, and what they cost whom. */
export async function measureGrpc(
  { load, server }: { readonly load: Load; readonly server: Server },
  job: Omit<GrpcJob, "kind" | "url">,
): Promise<HttpMeasure> {
  const before = await cpuTimeMs(server.pid);
  const { answers, elapsedMs, cpuMs } = await load.grpc({ ...job, url: server.url });
  const serverMs = (await cpuTimeMs(server.pid)) - before;
  return {
    perSecond: (answers * 1000) / elapsedMs,
    serverUs: (serverMs * 1000) / answers,
    serverShare: serverMs / elapsedMs,
    clientShare: cpuMs / elapsedMs,
  };
}
