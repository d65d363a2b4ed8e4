import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { NO_BYTES, utf8 } from "../../src/base/bytes.ts";
import { isMusterError } from "../../src/base/errors.ts";
import { silentLog } from "../../src/base/log.ts";
import type { TreeNode, WriteCommand } from "../../src/domain/tree/model.ts";
import { Tree } from "../../src/domain/tree/tree.ts";
import { parsePath } from "../../src/domain/tree/tree-path.ts";
import type { Engine } from "../../src/engine/engine.ts";
import type { KeyValue, Operation } from "../../src/engine/model.ts";
import { MovingPlace } from "../support/moving.ts";

const PROGRAMS = Number(process.env.MUSTER_TEST_PROGRAMS ?? 15);
const NOW = 1_700_000_000_000;
const LEASES = [
  { id: 7n, ttl: 60 },
  { id: 2n ** 62n, ttl: 9_000 },
] as const;
const PATHS = ["/a", "/b", "/d", "/d/x", "/d/e/y"].map(parsePath);

/** The time stands still: nothing expires while a program runs. */
const clock = { now: () => NOW, monotonic: () => 0 };

const path = fc.constantFrom(...PATHS);
const value = fc.constantFrom("one", "two", "").map(utf8);
const expiry = fc.oneof(
  fc.constant({ kind: "never" } as const),
  fc.constantFrom(1_000, 2_000).map((later) => ({ kind: "at", expires: NOW + later }) as const),
);
const file = value.map((bytes) => ({ kind: "file", value: bytes }) as const);
const directory = fc.constant({ kind: "directory" } as const);

const v2: fc.Arbitrary<WriteCommand> = fc.oneof(
  fc.record({
    kind: fc.constant("set"),
    path,
    content: fc.oneof(file, directory),
    expiry,
    refresh: fc.constant(false),
  }),
  fc.record({ kind: fc.constant("create"), path, content: fc.oneof(file, directory), expiry }),
  fc.record({ kind: fc.constant("createInOrder"), path, content: file, expiry }),
  fc.record({ kind: fc.constant("update"), path, content: file, expiry, refresh: fc.boolean() }),
  fc.record({ kind: fc.constant("delete"), path, directory: fc.boolean(), recursive: fc.boolean() }),
);
const keyName = fc.constantFrom(...PATHS, "plain", "/d//odd").map(utf8);
const v3: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({
    kind: fc.constant("put"),
    request: fc.record({ key: keyName, value, lease: fc.constantFrom(0n, ...LEASES.map(({ id }) => id)) }),
  }),
  fc.record({ kind: fc.constant("deleteRange"), request: fc.record({ key: keyName }) }),
);
const step = fc.oneof(
  v2.map((command) => ({ kind: "v2", command }) as const),
  fc
    .uniqueArray(v3, {
      minLength: 1,
      maxLength: 3,
      selector: ({ request }) => ("key" in request ? String(request.key) : ""),
    })
    .map((operations) => ({ kind: "v3", operations }) as const),
);
type Step = Parameters<Parameters<typeof step.map>[0]>[0];

let place: MovingPlace;

beforeEach(async () => {
  place = await MovingPlace.make(clock);
});

afterEach(() => place[Symbol.asyncDispose]());

async function played(steps: readonly Step[]): Promise<Engine> {
  const engine = place.memory();
  for (const lease of LEASES) await engine.grantLease(lease);
  const tree = await Tree.open({ engine, clock, log: silentLog });
  for (const each of steps) {
    if (each.kind === "v3") await engine.txn({ compares: [], success: each.operations, failure: [] });
    else await tree.write(each.command).catch(passRefusal);
  }
  await tree.close();
  return engine;
}

/** Random commands are often refused by the tree's rules; then they change nothing. */
function passRefusal(error: unknown): void {
  if (!isMusterError(error)) throw error;
}

async function keysOf(engine: Engine): Promise<readonly KeyValue[]> {
  const { kvs } = await engine.range({ key: NO_BYTES, end: null });
  return kvs.filter(({ key }) => !Buffer.from(key).toString("latin1").startsWith("\0store/"));
}

async function leasesOf(engine: Engine) {
  const ids = await engine.leases();
  return Promise.all(ids.map((id) => engine.leaseStatus(id, { keys: true })));
}

/** The tree as v2 clients see it; `index` says how indices are told. */
async function treeOf(engine: Engine, index: (index: number) => number): Promise<unknown> {
  const tree = await Tree.open({ engine, clock, log: silentLog });
  const { node } = await tree.get(parsePath("/"), { recursive: true, sorted: true });
  await tree.close();
  return shown(node, index);
}

function shown(node: TreeNode, index: (index: number) => number): unknown {
  const common = { ...node, createdIndex: index(node.createdIndex), modifiedIndex: index(node.modifiedIndex) };
  if (node.kind === "file") return { ...common, value: Buffer.from(node.value).toString() };
  return { ...common, nodes: [...(node.nodes ?? [])].map((child) => shown(child, index)) };
}

/** Numbers by their places among all of them, so that only their order counts. */
async function rankIn(engine: Engine): Promise<(revision: number) => number> {
  const all = new Set<number>([0]);
  await treeOf(engine, (index) => {
    all.add(index);
    return index;
  });
  const sorted = [...all].sort((a, b) => a - b);
  return (revision) => sorted.indexOf(revision);
}

describe("a store that was moved", () => {
  it("to a data directory is the same store, one revision later", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const source = await played(steps);
        const moved = await place.toLmdb(source);
        const { revision } = await source.status();
        expect(await moved.status()).toEqual({ revision: revision + 1, compactRevision: revision + 1 });
        expect(plain(await keysOf(moved))).toEqual(plain(await keysOf(source)));
        expect(plainLeases(await leasesOf(moved))).toEqual(plainLeases(await leasesOf(source)));
        expect(await treeOf(moved, (index) => index)).toEqual(await treeOf(source, (index) => index));
      }),
      { numRuns: PROGRAMS },
    );
  });

  it("to revisions of its own has the same content, its revisions are later and in the same order", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.nat(9), async (steps, before) => {
        const source = await played(steps);
        const moved = await place.toOwnRevisions(source, before);
        const { revision } = await source.status();
        const keys = await keysOf(source);
        const movedKeys = await keysOf(moved);
        expect(movedKeys.map(content)).toEqual(keys.map(content));
        for (const kv of movedKeys) expect(kv.createRevision).toBeGreaterThan(revision);
        expect(ranks(movedKeys)).toEqual(ranks(keys));
        expect(plainLeases(await leasesOf(moved))).toEqual(plainLeases(await leasesOf(source)));
        expect(await treeOf(moved, await rankIn(moved))).toEqual(await treeOf(source, await rankIn(source)));
      }),
      { numRuns: PROGRAMS },
    );
  });

  it("to revisions of its own keeps the order of createdIndex where nothing is left of what was written by it", async () => {
    const write = (kind: "set" | "update", name: string, expires?: number): Step => {
      const expiry = expires === undefined ? { kind: "never" as const } : { kind: "at" as const, expires };
      const content = { kind: "file", value: utf8(name) } as const;
      return { kind: "v2", command: { kind, path: parsePath(name), content, expiry, refresh: false } };
    };
    const source = await played([
      write("set", "/a", NOW + 2_000),
      write("set", "/a"),
      write("set", "/b"),
      write("update", "/a", NOW + 1_000),
    ]);
    const moved = await place.toOwnRevisions(source);
    expect(await treeOf(moved, await rankIn(moved))).toEqual(await treeOf(source, await rankIn(source)));
  });

  it("and moved back is what it was, but for its revisions", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const source = await played(steps);
        const back = await place.toLmdb(await place.toOwnRevisions(source));
        expect((await keysOf(back)).map(content)).toEqual((await keysOf(source)).map(content));
        expect(ranks(await keysOf(back))).toEqual(ranks(await keysOf(source)));
        expect(await treeOf(back, await rankIn(back))).toEqual(await treeOf(source, await rankIn(source)));
      }),
      { numRuns: PROGRAMS },
    );
  });
});

function plain(kvs: readonly KeyValue[]) {
  return kvs.map((kv) => ({ ...kv, ...content(kv) }));
}

/** A key without its revisions. What side records of the tree say of revisions is seen through the tree. */
function content({ key, value, lease }: KeyValue) {
  const name = Buffer.from(key).toString("latin1");
  return { key: name, value: name.startsWith("\0f") ? "" : Buffer.from(value).toString("latin1"), lease };
}

function plainLeases(leases: Awaited<ReturnType<typeof leasesOf>>) {
  return leases.map(({ id, grantedTtl, keys }) => ({
    id,
    grantedTtl,
    keys: keys.map((key) => Buffer.from(key).toString("latin1")),
  }));
}

/** Of side records of the tree it does not count when they were created. */
function ranks(kvs: readonly KeyValue[]): readonly (readonly number[])[] {
  const revisions = kvs.map(({ key, createRevision, modRevision }) =>
    key[0] === 0 && key[1] === 0x66 ? [modRevision] : [createRevision, modRevision],
  );
  const all = [...new Set(revisions.flat())].sort((a, b) => a - b);
  return revisions.map((own) => own.map((revision) => all.indexOf(revision)));
}
