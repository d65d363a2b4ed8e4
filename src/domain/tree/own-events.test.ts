import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { commandArb, treeAnswer } from "../../../test/support/v2-model.ts";
import { utf8 } from "../../base/bytes.ts";
import { silentLog } from "../../base/log.ts";
import { MAX_OWN_EVENT_BYTES, MAX_OWN_EVENTS } from "../../base/tree-limits.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import type { Operation } from "../../engine/model.ts";
import type { Expiry, Ride, TreeEvent, TreeNode, WriteCommand } from "./model.ts";
import { OwnEvents } from "./own-events.ts";
import { Tree } from "./tree.ts";
import { parsePath, ROOT } from "./tree-path.ts";

const START = 1_700_000_000_000;
const LAST: WriteCommand = {
  kind: "create",
  path: parsePath("/last"),
  content: { kind: "file", value: new Uint8Array(0) },
  expiry: { kind: "never" },
};

/** What rides along with writes: puts and deletions of an internal key, of one that v2 shows, and of one that it does not. */
const rider = fc.uniqueArray(fc.constantFrom("\0z", "/rider", "rider"), { maxLength: 2 }).chain((keys) =>
  fc.tuple(...keys.map((name) => fc.tuple(fc.constant(name), fc.boolean()))).map(
    (changes): Ride => ({
      compares: [],
      operations: changes.map(([name, puts]) => {
        const key = utf8(name);
        return puts
          ? { kind: "put", request: { key, value: utf8("rides") } }
          : { kind: "deleteRange", request: { key } };
      }),
    }),
  ),
);

function event(index: number): TreeEvent {
  const node = { kind: "file", path: parsePath("/k"), value: new Uint8Array(0) } as const;
  return { action: "set", node: { ...node, createdIndex: 1, modifiedIndex: index }, index };
}

describe("OwnEvents", () => {
  it("gives an event once, with when it was made, to whoever comes to its revision", () => {
    const own = new OwnEvents();
    own.note(event(5), START, []);
    own.note(event(7), START + 1, []);
    expect(own.take(5)).toEqual({ ...event(5), at: START });
    expect(own.take(5)).toBeUndefined();
    expect(own.take(6)).toBeUndefined();
    expect(own.take(7)).toEqual({ ...event(7), at: START + 1 });
  });

  it("keeps none that holds much", () => {
    const own = new OwnEvents();
    const { node, ...large } = event(5);
    own.note({ ...large, node: { ...node, kind: "file", value: new Uint8Array(MAX_OWN_EVENT_BYTES + 1) } }, START, []);
    expect(own.take(5)).toBeUndefined();
  });

  it("keeps one with which only internal keys were put, and none with other changes", () => {
    const own = new OwnEvents();
    const put = (key: string): Operation => ({ kind: "put", request: { key: utf8(key), value: utf8("v") } });
    own.note(event(5), START, [put("\0a"), put("\0b")]);
    own.note(event(6), START, [put("\0a"), put("/k2")]);
    own.note(event(7), START, [{ kind: "deleteRange", request: { key: utf8("\0a"), end: null } }]);
    own.note(event(8), START, [{ kind: "deleteRange", request: { key: utf8("\0a") } }]);
    own.note(event(9), START, [put("/k2"), { kind: "deleteRange", request: { key: utf8("\0a") } }]);
    const taken = [5, 6, 7, 8, 9].map((revision) => own.take(revision)?.index);
    expect(taken).toEqual([5, undefined, undefined, undefined, undefined]);
  });

  it("keeps none that comes too late, none that is never told, and no more than so many, the latest", () => {
    const own = new OwnEvents();
    expect(own.take(5)).toBeUndefined();
    own.note(event(5), START, []);
    own.note(event(6), START, []);
    own.skip(6);
    expect([own.take(5), own.take(6)]).toEqual([undefined, undefined]);
    for (let index = 7; index < 8 + MAX_OWN_EVENTS; index++) own.note(event(index), START, []);
    expect(own.take(7)).toBeUndefined();
    expect(own.take(8)).toBeDefined();
    expect(own.take(7 + MAX_OWN_EVENTS)).toBeDefined();
  });
});

it("whoever wrote tells the same events as whoever reads them, to the byte", async () => {
  const expiry = fc.oneof(
    fc.constant<Expiry>({ kind: "never" }),
    fc.integer({ min: 1, max: 9 }).map((s): Expiry => ({ kind: "at", expires: START + s * 1_000_000 })),
  );
  const write = fc.record({ command: commandArb(expiry, fc.boolean()), ride: fc.option(rider, { nil: undefined }) });
  await fc.assert(
    fc.asyncProperty(fc.array(write, { maxLength: 30 }), async (program) => {
      let now = START;
      const clock = { now: () => now, monotonic: () => now };
      const engine = openMemoryEngine({ clock });
      const open = () => Tree.open({ engine, clock, log: silentLog });
      const [writer, reader] = [await open(), await open()];
      try {
        const watches = await Promise.all(
          [writer, reader].map((tree) => tree.watch({ path: ROOT, recursive: true, waitIndex: 1 })),
        );
        for (const { command, ride } of [...program, { command: LAST, ride: undefined }]) {
          now++;
          await treeAnswer(
            ride === undefined
              ? writer.write(command)
              : writer.write(command, async () => ride, { foresee: () => ({ ...ride, settle: () => undefined }) }),
          );
        }
        const [own, read] = await Promise.all(watches.map(untilLast));
        expect(own).toEqual(read);
      } finally {
        await writer.close();
        await reader.close();
        await engine.close();
      }
    }),
    { numRuns: 150 },
  );
});

async function untilLast(watch: AsyncIterable<TreeEvent>): Promise<readonly unknown[]> {
  const events: unknown[] = [];
  for await (const told of watch) {
    const { node, prevNode, ...rest } = told;
    events.push({ ...rest, node: plain(node), ...(prevNode === undefined ? {} : { prevNode: plain(prevNode) }) });
    if (told.node.path === LAST.path) break;
  }
  return events;
}

/** Bytes may come as one kind of array or another. */
function plain(node: TreeNode): unknown {
  return node.kind === "file" ? { ...node, value: [...node.value] } : node;
}
