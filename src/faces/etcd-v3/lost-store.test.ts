import { afterEach, beforeEach, expect, it } from "vitest";
import { serveGrpc } from "../../../test/support/grpc-served.ts";
import { V3Client } from "../../../test/support/v3-client.ts";
import { MusterError } from "../../base/errors.ts";
import { type Keyspace, openKeyspace } from "../../domain/keyspace/keyspace.ts";
import type { Engine } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import { Status } from "../../grpc/status.ts";
import { Headers } from "./header.ts";
import { kvService } from "./kv-service.ts";
import { leaseService } from "./lease-service.ts";

let engine: Engine;
/** Whether the store cannot be asked any more. */
let isAway: boolean;
let served: Awaited<ReturnType<typeof serveGrpc>>;
let client: V3Client;

const UNAVAILABLE = { ok: false, code: Status.UNAVAILABLE, details: "Look after etcd: it has no quorum" };

beforeEach(async () => {
  engine = openMemoryEngine();
  isAway = false;
  const headers = new Headers({ clusterId: 1n, memberId: 2n });
  const options = { headers, keyspaceFor: () => keyspace, maxRequestBytes: 1_000 };
  const keyspace = lostAfterWrite(openKeyspace(engine));
  served = await serveGrpc([kvService(options), leaseService(options)]);
  client = new V3Client(served.address);
});
afterEach(async () => {
  client[Symbol.dispose]();
  await served[Symbol.asyncDispose]();
  await engine.close();
});

/** A store that is gone as soon as a lease was granted or history compacted. */
function lostAfterWrite(keyspace: Keyspace): Keyspace {
  const whileThere = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    if (isAway) throw new MusterError("storeUnavailable", UNAVAILABLE.details);
    return work();
  };
  const thenLost = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    const result = await whileThere(work);
    isAway = true;
    return result;
  };
  return {
    range: (request) => keyspace.range(request),
    txn: (request) => keyspace.txn(request),
    watch: (request) => keyspace.watch(request),
    status: () => whileThere(() => keyspace.status()),
    compact: (revision, options) => thenLost(() => keyspace.compact(revision, options)),
    grantLease: (request) => thenLost(() => keyspace.grantLease(request)),
    revokeLease: (id) => keyspace.revokeLease(id),
    keepLeaseAlive: (id) => keyspace.keepLeaseAlive(id),
    leaseStatus: (id, options) => keyspace.leaseStatus(id, options),
    leases: () => keyspace.leases(),
  };
}

it("a lease that was granted is told as granted, though the store was lost right after", async () => {
  const granted = await client.call("Lease/LeaseGrant", { ID: 7, TTL: 60 });
  expect(granted).toMatchObject({ ok: true, answers: [{ ID: "7", TTL: "60", header: { revision: "1" } }] });
  expect(isAway).toBe(true);
});

it("a compaction that was made is told as made, though the store was lost right after", async () => {
  await client.call("KV/Put", { key: Buffer.from("a") });
  const compacted = await client.call("KV/Compact", { revision: 2 });
  expect(compacted).toMatchObject({ ok: true, answers: [{ header: { revision: "2" } }] });
  expect((await engine.status()).compactRevision).toBe(2);
});

it("a lease or a compaction that the store was lost before is not made", async () => {
  await client.call("KV/Put", { key: Buffer.from("a") });
  isAway = true;
  expect(await client.call("Lease/LeaseGrant", { ID: 7, TTL: 60 })).toMatchObject(UNAVAILABLE);
  expect(await client.call("KV/Compact", { revision: 2 })).toMatchObject(UNAVAILABLE);
  expect(await engine.leases()).toEqual([]);
  expect((await engine.status()).compactRevision).toBe(0);
});
