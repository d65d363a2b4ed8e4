import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Token, tokenPath } from "../../src/domain/registry/token.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { MovingPlace } from "../support/moving.ts";
import { memberKey, membersOf, put, V3Registry } from "../support/v3-registry.ts";

const SIZE = 9;
const IDS = ["a", "b", "c", "d"] as const;
const PROGRAMS = 6;

/** What nodes do at a token before its store is moved. */
const program = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant("v2"), id: fc.constantFrom(...IDS) }),
    fc.record({ kind: fc.constant("v3"), id: fc.constantFrom(...IDS), value: fc.constantFrom("x", "y") }),
    fc.record({ kind: fc.constant("delete"), id: fc.constantFrom(...IDS) }),
  ),
  { minLength: 1, maxLength: 12 },
);
type Program = Parameters<Parameters<typeof program.map>[0]>[0];

/** A member as its key stood: when it came first, and when it was last put. */
interface Standing {
  readonly id: string;
  readonly first: number;
  readonly last: number;
}

let place: MovingPlace;

beforeEach(async () => {
  place = await MovingPlace.make();
});

afterEach(() => place[Symbol.asyncDispose]());

describe("members of a token in a store that was moved", () => {
  it.each([
    ["to a data directory", (engine: Engine) => place.toLmdb(engine)],
    ["to revisions of its own", (engine: Engine) => place.toOwnRevisions(engine, 5)],
    [
      "to revisions of its own, and to others again",
      async (engine: Engine) => place.toOwnRevisions(await place.toOwnRevisions(engine, 5), 7),
    ],
    ["there and back", async (engine: Engine) => place.toLmdb(await place.toOwnRevisions(engine, 5))],
    [
      "to a data directory and on from there",
      async (engine: Engine) => place.toOwnRevisions(await place.toLmdb(engine), 3),
    ],
  ])("%s: a node that waits from before is told of those that it has not seen, once", async (_way, move) => {
    await fc.assert(
      fc.asyncProperty(program, async (steps) => {
        await using source = await V3Registry.open();
        const token = await source.newToken(SIZE);
        await play(source, token, steps);
        const standing = await membersIn(source, token);
        const end = await source.revision();
        await using moved = await V3Registry.open(await move(source.engine));
        expect(await moved.revision()).toBeGreaterThan(end);
        for (let from = 2; from <= end + 1; from++) {
          const v2 = standing.filter(({ first }) => first >= from).sort((a, b) => a.first - b.first);
          expect(await toldByV2(moved, token, { from, count: v2.length })).toEqual(
            v2.map(({ id, first }) => [id, first]),
          );
          const v3 = standing.filter(({ last }) => last >= from).sort((a, b) => a.last - b.last);
          expect(await toldByV3(moved, token, { from, count: v3.length })).toEqual(
            v3.map(({ id, last }) => [id, last]),
          );
        }
      }),
      { numRuns: PROGRAMS },
    );
  });
});

async function play(registry: V3Registry, token: Token, steps: Program): Promise<void> {
  for (const step of steps) {
    // A node that creates its entry again is told so, and nothing changes.
    if (step.kind === "v2") await registry.registerByV2(token, step.id, `${step.id}=u`).catch(() => undefined);
    else if (step.kind === "v3") await registry.commit(put(memberKey(token, step.id), step.value));
    else await registry.commit({ kind: "deleteRange", request: { key: memberKey(token, step.id) } });
  }
}

async function membersIn(registry: V3Registry, token: Token): Promise<readonly Standing[]> {
  const { kvs } = await registry.keyspace.range(membersOf(token));
  return kvs.map(({ key, createRevision, modRevision }) => ({
    id: Buffer.from(key).toString().split("/").at(-1) ?? "",
    first: createRevision,
    last: modRevision,
  }));
}

/** As etcd's client waits: for one event, and then for the next after its index; and then for one more that comes now. */
async function toldByV2(
  registry: V3Registry,
  token: Token,
  { from, count }: { readonly from: number; readonly count: number },
): Promise<readonly (readonly [string, number])[]> {
  const told: [string, number][] = [];
  let waitIndex = from;
  for (let place = 0; place < count; place++) {
    const wait = await registry.store.watch({ path: tokenPath(token), recursive: true, waitIndex });
    for await (const { node } of wait) {
      told.push([node.path.split("/").at(-1) ?? "", node.modifiedIndex]);
      waitIndex = node.modifiedIndex + 1;
      break;
    }
  }
  const next = await registry.store.watch({ path: tokenPath(token), recursive: true, waitIndex });
  const late = registry.registerByV2(token, "late", "late=u");
  for await (const { node } of next) {
    expect([node.path, node.modifiedIndex]).toEqual([`${tokenPath(token)}/late`, (await late).index]);
    break;
  }
  await registry.commit({ kind: "deleteRange", request: { key: memberKey(token, "late") } });
  return told;
}

/** As etcd's client watches, with a connection that breaks after every response. */
async function toldByV3(
  registry: V3Registry,
  token: Token,
  { from, count }: { readonly from: number; readonly count: number },
): Promise<readonly (readonly [string, number])[]> {
  const told: [string, number][] = [];
  let startRevision = from;
  for (let place = 0; place < count; place++) {
    const watch = registry.keyspace.watch({ ...membersOf(token), startRevision });
    for await (const message of watch) {
      if (message.kind !== "events") continue;
      for (const { kv } of message.events) {
        told.push([Buffer.from(kv.key).toString().split("/").at(-1) ?? "", kv.modRevision]);
        startRevision = kv.modRevision + 1;
      }
      break;
    }
  }
  return told;
}
