/** gRPC's health service, from the same probe as /health: whether the store can write durably. */
import { setTimeout as sleep } from "node:timers/promises";
import { HEALTH_WATCH_INTERVAL_MS } from "../../base/limits.ts";
import type { HealthProbe } from "../../domain/health-probe.ts";
import type { StreamCall } from "../../grpc/call.ts";
import { GrpcError } from "../../grpc/grpc-error.ts";
import { defineService, type Service } from "../../grpc/service.ts";
import { Status } from "../../grpc/status.ts";
import {
  AuthDefinition,
  ClusterDefinition,
  KVDefinition,
  LeaseDefinition,
  MaintenanceDefinition,
  WatchDefinition,
} from "../../proto/etcdserverpb.ts";
import {
  type HealthCheckResponse,
  HealthDefinition,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../proto/health.ts";

/** "" is the server as a whole, the only name that etcd's own has. All stand or fall with the one store. */
const SERVICES: ReadonlySet<string> = new Set([
  "",
  ...[KVDefinition, WatchDefinition, LeaseDefinition, ClusterDefinition, MaintenanceDefinition, AuthDefinition].map(
    ({ fullName }) => fullName,
  ),
]);

export interface HealthServiceOptions {
  readonly probe: Pick<HealthProbe, "check">;
  /** How often a watch looks, in ms. Default: HEALTH_WATCH_INTERVAL_MS. */
  readonly watchIntervalMs?: number;
}

export function healthService({ probe, watchIntervalMs = HEALTH_WATCH_INTERVAL_MS }: HealthServiceOptions): Service {
  const current = async (): Promise<ServingStatus> =>
    (await probe.check()).ok ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  return defineService(HealthDefinition, {
    check: async ({ service }) => {
      if (!SERVICES.has(service)) throw new GrpcError(Status.NOT_FOUND, "unknown service");
      return { status: await current() };
    },
    list: async () => {
      const status = await current();
      return { statuses: [...SERVICES].map((key) => ({ key, value: { status } })) };
    },
    watch: async ({ service }, call) => {
      const look = SERVICES.has(service) ? current : async () => ServingStatus.SERVICE_UNKNOWN;
      await tellChanges(look, call, watchIntervalMs);
    },
  });
}

/** Tells the status at once, and then whenever it is another one, until the call ends. */
async function tellChanges(
  look: () => Promise<ServingStatus>,
  call: StreamCall<HealthCheckResponse>,
  intervalMs: number,
): Promise<void> {
  const { signal } = call;
  let told: ServingStatus | undefined;
  while (!signal.aborted) {
    const status = await look();
    if (status !== told) await call.send({ status });
    told = status;
    // Ended early when the call is over, which the loop finds out.
    await sleep(intervalMs, undefined, { signal, ref: false }).catch(() => {});
  }
  throw signal.reason;
}
