import { describe, expect, it } from "vitest";
import { TREE_HISTORY_BYTES, TREE_HISTORY_EVENTS, TREE_UNTOUCHED_LOOKS } from "../../base/tree-limits.ts";
import { EventHistory } from "./event-history.ts";
import type { DecodedEvent } from "./tree-decode.ts";
import { parsePath } from "./tree-path.ts";

function set(index: number, size = 1, name = "/k"): DecodedEvent {
  const node = {
    kind: "file",
    path: parsePath(name),
    value: new Uint8Array(size),
    createdIndex: 1,
    modifiedIndex: index,
  } as const;
  return { event: { action: "set", node, index }, removed: new Set() };
}

function indices(history: EventHistory, from: number): readonly number[] {
  return [...history.from(from)].map(({ event }) => event.index);
}

describe("EventHistory", () => {
  it("keeps at least the thousand that etcd keeps", () => {
    expect(TREE_HISTORY_EVENTS).toBeGreaterThanOrEqual(1000);
  });

  it("from: gives events from an index on, also where revisions had none or several", () => {
    const history = new EventHistory(5);
    history.add(6, [set(6)]);
    history.add(7, []);
    history.add(8, [set(8), set(8)]);
    expect([history.oldestIndex, history.newestIndex]).toEqual([6, 8]);
    expect(indices(history, 1)).toEqual([6, 8, 8]);
    expect(indices(history, 7)).toEqual([8, 8]);
    expect(indices(history, 9)).toEqual([]);
  });

  it("add: drops the oldest revision whole, and says from where it is complete", () => {
    const history = new EventHistory(1);
    history.add(2, [set(2), set(2)]);
    for (let index = 3; index < TREE_HISTORY_EVENTS + 3; index++) history.add(index, [set(index)]);
    expect(history.oldestIndex).toBe(3);
    expect(indices(history, 0)).toHaveLength(TREE_HISTORY_EVENTS);
    for (let index = TREE_HISTORY_EVENTS + 3; index < 3 * TREE_HISTORY_EVENTS; index++)
      history.add(index, [set(index)]);
    expect(indices(history, 0)).toHaveLength(TREE_HISTORY_EVENTS);
    expect(history.oldestIndex).toBe(indices(history, 0)[0]);
  });

  it("isUntouched: only what is known to be, with nothing written at, above or below it", () => {
    const history = new EventHistory(5);
    const isUntouched = (path: string, after: number, until: number) =>
      history.isUntouched(parsePath(path), { after, until });
    expect(isUntouched("/a/b", 5, 5)).toBe(true);
    expect(isUntouched("/a/b", 5, 6)).toBe(false);
    expect(isUntouched("/a/b", 4, 5)).toBe(false);
    history.add(6, [set(6, 1, "/a/b/c")]);
    history.add(7, [set(7, 1, "/a/bb"), set(7, 1, "/x")]);
    history.add(8, []);
    expect(["/a/b", "/a", "/", "/a/b/c", "/a/b/c/d"].map((path) => isUntouched(path, 5, 8))).toEqual(
      Array(5).fill(false),
    );
    expect(["/a/c", "/b", "/a/b/d"].map((path) => isUntouched(path, 5, 8))).toEqual([true, true, true]);
    expect([isUntouched("/a/b", 6, 8), isUntouched("/a", 6, 8), isUntouched("/a/bb", 7, 8)]).toEqual([
      true,
      false,
      true,
    ]);
  });

  it("isUntouched: looks at no more events than a reading costs", () => {
    const history = new EventHistory(1);
    for (let index = 2; index < TREE_UNTOUCHED_LOOKS + 3; index++) history.add(index, [set(index)]);
    const until = history.newestIndex;
    expect(history.isUntouched(parsePath("/a"), { after: 1, until })).toBe(false);
    expect(history.isUntouched(parsePath("/a"), { after: 2, until })).toBe(true);
  });

  it("add: is bounded in bytes too", () => {
    const history = new EventHistory(1);
    const large = TREE_HISTORY_BYTES / 2;
    for (let index = 2; index < 6; index++) history.add(index, [set(index, large)]);
    expect(indices(history, 0)).toEqual([5]);
    expect(history.oldestIndex).toBe(5);
  });
});
