/** etcd's Maintenance service, as far as a cluster of one member has any of it: most is the business of who keeps the store. */
import type { HealthProbe } from "../../domain/health-probe.ts";
import type { Keyspace } from "../../domain/keyspace/keyspace.ts";
import type { Engine } from "../../engine/engine.ts";
import { GrpcError } from "../../grpc/grpc-error.ts";
import { defineService, type Service } from "../../grpc/service.ts";
import { Status } from "../../grpc/status.ts";
import {
  AlarmRequest_AlarmAction as AlarmAction,
  DowngradeRequest_DowngradeAction as DowngradeAction,
  MaintenanceDefinition,
  type StatusResponse,
} from "../../proto/etcdserverpb.ts";
import { etcdError, toGrpcError } from "./errors.ts";
import { ETCD_VERSION } from "./etcd-version.ts";
import { type Headers, RAFT_TERM } from "./header.ts";
import { hashKeyspace } from "./maintenance-hash.ts";
import { SnapshotStreams } from "./snapshot-stream.ts";

export interface MaintenanceOptions {
  readonly headers: Headers;
  readonly engine: Pick<Engine, "diskUse" | "snapshot" | "defragment">;
  /** All keys of clients, as they are stored. */
  readonly keyspace: Pick<Keyspace, "range" | "status">;
  readonly probe: Pick<HealthProbe, "check">;
  /** Whether the store is an etcd, which has upkeep, alarms and an operator of its own. */
  readonly isRemote: boolean;
}

/** etcd's answer for "never compacted". */
const NEVER_COMPACTED = -1;

const NO_FILE = "Leave out defragmentation: this store keeps no file of its own";
const ETCD_DEFRAGMENTS = "Defragment the members of the etcd behind this Muster with etcdctl: Muster has no right to";

const NO_ALARMS = "Leave alarms to etcd: Muster has no quota and raises none; /health tells whether it can write";
const ETCD_ALARMS = "Ask the etcd behind this Muster for its alarms: Muster has none, and sets none there";

export function maintenanceService(options: MaintenanceOptions): Service {
  const { headers, keyspace } = options;
  const snapshots = new SnapshotStreams(options.engine);
  const header = async () => headers.at((await keyspace.status()).revision);
  return defineService(
    MaintenanceDefinition,
    {
      status: () => status(options),
      alarm: async (request) => {
        mustLeaveAlarms(request.action, options.isRemote);
        // None are raised, so none is listed, and there is none to disarm.
        return { header: await header(), alarms: [] };
      },
      hash: async () => ({ header: await header(), hash: (await hashKeyspace(keyspace, 0)).hash }),
      hashKV: async ({ revision: asked }) => {
        const { hash, revision } = await hashKeyspace(keyspace, Math.max(asked, 0));
        const { revision: newest, compactRevision } = await keyspace.status();
        return {
          header: headers.at(newest),
          hash,
          hashRevision: revision,
          compactRevision: compactRevision === 0 ? NEVER_COMPACTED : compactRevision,
        };
      },
      snapshot: (_request, call) => snapshots.stream((response) => call.send(response)),
      defragment: async () => {
        if (options.isRemote) throw new GrpcError(Status.UNIMPLEMENTED, ETCD_DEFRAGMENTS);
        if (options.engine.defragment === undefined) throw new GrpcError(Status.UNIMPLEMENTED, NO_FILE);
        await options.engine.defragment();
        return { header: undefined };
      },
      // The one member leads already; there is nobody else.
      moveLeader: async ({ targetID }) => {
        if (targetID !== headers.memberId) throw etcdError("badLeaderTransferee");
        return { header: undefined };
      },
      // The data are in no format of etcd's that an older one could read.
      downgrade: async ({ action }) => {
        throw etcdError(action === DowngradeAction.CANCEL ? "noInflightDowngrade" : "invalidDowngradeTarget");
      },
    },
    { toGrpcError },
  );
}

/** There is no raft: its index is the revision, which as etcd's grows with every write and is never ahead of what is applied. */
async function status({ headers, engine, keyspace, probe }: MaintenanceOptions): Promise<StatusResponse> {
  const [{ revision }, disk, health] = await Promise.all([keyspace.status(), engine.diskUse?.(), probe.check()]);
  return {
    header: headers.at(revision),
    version: ETCD_VERSION,
    leader: headers.memberId,
    raftIndex: revision,
    raftAppliedIndex: revision,
    raftTerm: RAFT_TERM,
    dbSize: disk?.fileBytes ?? 0,
    dbSizeInUse: disk === undefined ? 0 : disk.liveBytes + disk.historyBytes,
    dbSizeQuota: 0,
    errors: health.ok ? [] : [health.reason],
    isLearner: false,
    storageVersion: "",
    downgradeInfo: { enabled: false, targetVersion: "" },
  };
}

/** To disarm an alarm that there is not is well for etcd; of one that the etcd behind has it would be a lie. */
function mustLeaveAlarms(action: AlarmAction, isRemote: boolean): void {
  if (isRemote && action !== AlarmAction.GET) throw new GrpcError(Status.UNIMPLEMENTED, ETCD_ALARMS);
  if (action === AlarmAction.ACTIVATE) throw new GrpcError(Status.UNIMPLEMENTED, NO_ALARMS);
}
