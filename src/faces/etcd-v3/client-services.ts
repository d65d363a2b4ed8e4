/** All of etcd's v3 services, as they are served on the client listener. */
import type { Service } from "../../grpc/service.ts";
import { type AuthOptions, authService } from "./auth-service.ts";
import { type ClusterOptions, clusterService } from "./cluster-service.ts";
import { healthService } from "./health-service.ts";
import { type KvOptions, kvService } from "./kv-service.ts";
import { leaseService } from "./lease-service.ts";
import { type MaintenanceOptions, maintenanceService } from "./maintenance-service.ts";
import { watchService } from "./watch-service.ts";

export type ClientServicesOptions = KvOptions & ClusterOptions & MaintenanceOptions & AuthOptions;

/** The services over the keyspace that each caller may see. */
export function clientServices(options: ClientServicesOptions): readonly Service[] {
  return [
    kvService(options),
    watchService(options),
    leaseService(options),
    clusterService(options),
    authService(options),
    maintenanceService(options),
    healthService(options),
  ];
}
