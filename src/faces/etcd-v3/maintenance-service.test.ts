import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { startEtcd } from "../../../test/support/etcd-server.ts";
import { type MusterV3, startMusterV3 } from "../../../test/support/muster-v3.ts";
import { V3Client } from "../../../test/support/v3-client.ts";
import { describeWithEtcdGo } from "../../../test/support/with-etcd-go.ts";
import { utf8 } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import { MAX_SNAPSHOTS } from "../../base/limits.ts";
import type { Snapshot } from "../../engine/engine.ts";
import type { SnapshotResponse } from "../../proto/etcdserverpb.ts";
import { hashKeyspace } from "./maintenance-hash.ts";
import { SnapshotStreams } from "./snapshot-stream.ts";

let directory: string;
let muster: MusterV3;
let client: V3Client;

async function start(): Promise<void> {
  muster = await startMusterV3({ directory });
  client = new V3Client(muster.address);
}

async function stop(): Promise<void> {
  client[Symbol.dispose]();
  await muster[Symbol.asyncDispose]();
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "muster-maintenance-"));
  await start();
});

afterEach(async () => {
  await stop();
  await rm(directory, { recursive: true });
});

const put = (key: string, value = "v") => client.call("KV/Put", { key: Buffer.from(key), value: Buffer.from(value) });

function putMany(first: number, count: number) {
  const success = Array.from({ length: count }, (_, place) => {
    const key = first + place;
    return { request_put: { key: Buffer.from(`k${key}`), value: Buffer.from("x".repeat(key)) } };
  });
  return client.call("KV/Txn", { success });
}

const hashAnswer = z.object({
  hash: z.number(),
  hash_revision: z.coerce.number(),
  compact_revision: z.coerce.number(),
  header: z.object({ revision: z.coerce.number() }),
});

async function hashKv(revision = 0) {
  const outcome = await client.call("Maintenance/HashKV", { revision });
  if (!outcome.ok) throw new Error(`${outcome.code} ${outcome.details}`);
  return hashAnswer.parse(outcome.answers[0]);
}

describe("Maintenance.HashKV", () => {
  it("is of what clients see at a revision, whatever came after it and however often Muster is restarted", async () => {
    for (let first = 0; first < 500; first += 100) await putMany(first, 100);
    const then = await hashKv();
    expect(then).toMatchObject({ hash_revision: 6, compact_revision: -1, header: { revision: 6 } });
    await put("k1", "other");
    await client.call("KV/DeleteRange", { key: Buffer.from("k2") });
    expect((await hashKv()).hash).not.toBe(then.hash);
    expect(await hashKv(6)).toMatchObject({ hash: then.hash, hash_revision: 6, header: { revision: 8 } });
    await client.call("KV/Compact", { revision: 6 });
    expect(await hashKv(6)).toMatchObject({ hash: then.hash, compact_revision: 6 });
    await stop();
    await start();
    expect(await hashKv(6)).toMatchObject({ hash: then.hash });
  });

  it("leaves out internal keys", async () => {
    await put("a");
    const { hash } = await hashKv();
    const request = { key: utf8("\0internal"), value: utf8("x") };
    await muster.engine.txn({ compares: [], success: [{ kind: "put", request }], failure: [] });
    expect(await hashKv()).toMatchObject({ hash, hash_revision: 3 });
  });

  it("tells apart what differs only in its revisions, its version, its lease, or where a key ends", async () => {
    const kv = {
      key: utf8("ab"),
      value: utf8("c"),
      createRevision: 2,
      modRevision: 3,
      version: 2,
      lease: 0n,
    };
    const variants = [
      kv,
      { ...kv, createRevision: 3 },
      { ...kv, modRevision: 4 },
      { ...kv, version: 3 },
      { ...kv, lease: 1n },
      { ...kv, key: utf8("a"), value: utf8("bc") },
    ];
    const hashes = variants.map((one) =>
      hashKeyspace({ range: async () => ({ revision: 9, kvs: [one], more: false, count: 1 }) }, 0),
    );
    expect(new Set((await Promise.all(hashes)).map(({ hash }) => hash)).size).toBe(variants.length);
  });

  it("begins anew where the newest revision is compacted meanwhile, but not for one that was asked for", async () => {
    let reads = 0;
    const range = async ({ revision = 0 }) => {
      reads++;
      if (reads === 2) throw new MusterError("compacted", "ask for a later revision");
      return { revision: 7, kvs: [], more: revision === 0 && reads === 1, count: 0 };
    };
    const key = { key: utf8("a"), value: utf8("v"), createRevision: 2, modRevision: 2, version: 1, lease: 0n };
    const paged = async (request: { readonly revision?: number }) => ({ ...(await range(request)), kvs: [key] });
    expect(await hashKeyspace({ range: paged }, 0)).toMatchObject({ revision: 7 });
    reads = 1;
    await expect(hashKeyspace({ range: paged }, 5)).rejects.toMatchObject({ code: "compacted" });
  });
});

describe("Maintenance", () => {
  it("Status tells the sizes on disk, who leads, and the version whose API this is", async () => {
    await put("a");
    const { answers } = await client.call("Maintenance/Status", {});
    const status = z.object({ dbSize: z.coerce.number(), dbSizeInUse: z.coerce.number() }).loose().parse(answers[0]);
    expect(status).toMatchObject({ version: "3.7.0", leader: "2", raftIndex: "2", raftAppliedIndex: "2", errors: [] });
    expect(status.dbSizeInUse).toBeGreaterThan(0);
    expect(status.dbSize).toBeGreaterThanOrEqual(status.dbSizeInUse);
  });

  it("has no alarms, and raises none", async () => {
    expect(await client.call("Maintenance/Alarm", {})).toMatchObject({ ok: true, answers: [{ alarms: [] }] });
    const disarm = { action: "DEACTIVATE", memberID: 0, alarm: "NOSPACE" };
    expect(await client.call("Maintenance/Alarm", disarm)).toMatchObject({ ok: true, answers: [{ alarms: [] }] });
    expect(await client.call("Maintenance/Alarm", { action: "ACTIVATE", alarm: "NOSPACE" })).toMatchObject({
      code: 12,
    });
  });

  it("Defragment: Status then shows a file that is smaller by what was deleted and compacted, HashKV all that was kept", async () => {
    const sizes = async () => {
      const { answers } = await client.call("Maintenance/Status", {});
      return z.object({ dbSize: z.coerce.number(), dbSizeInUse: z.coerce.number() }).parse(answers[0]);
    };
    for (let count = 0; count < 4; count++) await put(`large${count}`, "x".repeat(1_000_000));
    await client.call("KV/DeleteRange", { key: Buffer.from("large"), range_end: Buffer.from("largf") });
    await put("kept");
    await client.call("KV/Compact", { revision: 7, physical: true });
    const before = { ...(await sizes()), ...(await hashKv()) };
    expect(await client.call("Maintenance/Defragment", {})).toMatchObject({ ok: true });
    const after = { ...(await sizes()), ...(await hashKv()) };
    expect(before.dbSize).toBeGreaterThan(4_000_000);
    expect(after.dbSize).toBeLessThan(before.dbSize / 4);
    expect(after.dbSizeInUse).toBeLessThanOrEqual(after.dbSize);
    expect(after).toMatchObject({ hash: before.hash, hash_revision: 7 });
  });

  it("Snapshot: the pieces and, behind them, their checksum; what is left counts down to 0", async () => {
    await put("a", "x".repeat(300_000));
    const { answers } = await client.call("Maintenance/Snapshot", {});
    const pieces = answers.map((answer) =>
      z.object({ remaining_bytes: z.coerce.number(), blob: z.instanceof(Buffer) }).parse(answer),
    );
    const content = Buffer.concat(pieces.slice(0, -1).map(({ blob }) => blob));
    expect(pieces.at(-1)).toEqual({ remaining_bytes: 0, blob: createHash("sha256").update(content).digest() });
    expect(content.length).toBeGreaterThan(300_000);
    expect(content.length % 512).toBe(0);
    let left = content.length;
    for (const { remaining_bytes, blob } of pieces.slice(0, -1)) {
      left -= blob.length;
      expect(remaining_bytes).toBe(left);
    }
    expect(left).toBe(0);
  });
});

describe("SnapshotStreams", () => {
  it("takes few snapshots at a time, and frees each whatever becomes of its client", async () => {
    let open = 0;
    const snapshot = async (): Promise<Snapshot> => {
      open++;
      return {
        size: 1,
        async *read() {
          yield Uint8Array.of(1);
        },
        close: async () => {
          open--;
        },
      };
    };
    const streams = new SnapshotStreams({ snapshot });
    let leave: (error: Error) => void = () => {};
    const gone = new Promise<never>((_resolve, reject) => {
      leave = reject;
    });
    const sending = Array.from({ length: MAX_SNAPSHOTS }, () => streams.stream(() => gone));
    await expect(streams.stream(async () => {})).rejects.toMatchObject({ message: "etcdserver: too many requests" });
    leave(new Error("the client has gone"));
    await Promise.allSettled(sending);
    expect(open).toBe(0);
    const sent: SnapshotResponse[] = [];
    await streams.stream(async (response) => void sent.push(response));
    expect(sent).toHaveLength(2);
  });
});

await describeWithEtcdGo("3.7", "Maintenance beside a real etcd", (binaries) => {
  it("refuses and answers alike what there is one member for", async () => {
    await using etcd = await startEtcd(binaries);
    using reference = new V3Client(etcd.clientAddress);
    const both = async (path: string, request: object) => {
      const answers = await Promise.all([client, reference].map((one) => one.call(path, request)));
      return answers.map(shape);
    };
    await put("a");
    await reference.call("KV/Put", { key: Buffer.from("a"), value: Buffer.from("v") });
    for (const [path, request] of [
      ["Maintenance/MoveLeader", { targetID: 77 }],
      ["Maintenance/Defragment", {}],
      ["Maintenance/Alarm", {}],
      ["Maintenance/Alarm", { action: "DEACTIVATE", alarm: "CORRUPT" }],
      ["Maintenance/HashKV", { revision: 1000 }],
      ["Maintenance/HashKV", {}],
    ] as const) {
      const [got, expected] = await both(path, request);
      expect(got, path).toEqual(expected);
    }
  });
});

/** An outcome without what is each server's own: IDs and hashes. */
function shape(outcome: object): unknown {
  const own = new Set(["cluster_id", "member_id", "raft_term", "hash"]);
  return JSON.parse(JSON.stringify(outcome, (key, value: unknown) => (own.has(key) ? undefined : value)));
}
