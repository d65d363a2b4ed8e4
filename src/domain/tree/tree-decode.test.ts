import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { text, utf8 } from "../../base/bytes.ts";
import { systemClock } from "../../base/clock.ts";
import type { Engine } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import type { WriteCommand } from "./model.ts";
import { EVERY_KEY } from "./past-watch.ts";
import { Tree } from "./tree.ts";
import { type Change, decodeChange } from "./tree-decode.ts";
import { parsePath } from "./tree-path.ts";

const path = parsePath("/k");

let engine: Engine;
let tree: Tree;

beforeEach(async () => {
  engine = openMemoryEngine();
  tree = await Tree.open({ engine, clock: systemClock, log: { warn: () => undefined } });
});

afterEach(async () => {
  await tree.close();
  await engine.close();
});

function set(value: string): WriteCommand {
  return {
    kind: "set",
    path,
    content: { kind: "file", value: utf8(value) },
    expiry: { kind: "never" },
    refresh: false,
  };
}

/** What the engine tells of a write. */
async function changeOf(command: WriteCommand): Promise<Change> {
  const { index } = await tree.write(command);
  for await (const message of engine.watch({ ...EVERY_KEY, startRevision: index })) {
    if (message.kind === "events") return message;
  }
  throw new Error("the watch ended");
}

/** As an etcd tells it whose owner compacted between the write and the telling. */
function compacted({ revision, events }: Change): Change {
  return { revision, events: events.map((event) => ({ ...event, prevKv: undefined })) };
}

describe("decodeChange", () => {
  it("tells what a file held before", async () => {
    await tree.write(set("1"));
    const [decoded] = await decodeChange(engine, await changeOf(set("2")));
    const { node, prevNode } = decoded?.event ?? {};
    expect([node, prevNode].map((each) => each?.kind === "file" && text(each.value))).toEqual(["2", "1"]);
    expect(prevNode).not.toHaveProperty("isForgotten");
  });

  it.each([
    ["set", set("2")],
    ["delete", { kind: "delete", path, directory: false, recursive: false }],
  ] as const)("%s: does not make up what a file held where that was compacted away", async (action, command) => {
    const { index } = await tree.write(set("1"));
    const [decoded] = await decodeChange(engine, compacted(await changeOf(command)));
    expect(decoded?.event).toMatchObject({ action, prevNode: { path, modifiedIndex: index, isForgotten: true } });
  });

  it("says of a file that was not there before nothing of the kind", async () => {
    const [decoded] = await decodeChange(engine, compacted(await changeOf(set("1"))));
    expect(decoded?.event).not.toHaveProperty("prevNode");
  });
});
