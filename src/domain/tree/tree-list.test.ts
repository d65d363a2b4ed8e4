import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../base/bytes.ts";
import { silentLog } from "../../base/log.ts";
import { TREE_SCAN_MOST_KEYS } from "../../base/tree-limits.ts";
import type { Engine } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import type { TreeNode } from "./model.ts";
import { Tree } from "./tree.ts";
import { listDirectory } from "./tree-list.ts";
import { parsePath, ROOT } from "./tree-path.ts";

const NOW = 1_700_000_000_000;

let engine: Engine;

beforeEach(() => {
  engine = openMemoryEngine();
});

afterEach(() => engine.close());

async function openAnew(): Promise<void> {
  await engine.close();
  engine = openMemoryEngine();
}

type Shown = string | { readonly [path: string]: readonly Shown[] };

/** A file as its path, a directory as its path and what is in it. */
function shown(nodes: Iterable<TreeNode>): readonly Shown[] {
  return [...nodes].map((node) => (node.kind === "file" ? node.path : { [node.path]: shown(node.nodes ?? []) }));
}

async function put(...keys: readonly string[]): Promise<void> {
  const puts = keys.map((key) => ({ kind: "put", request: { key: utf8(key), value: utf8(key) } }) as const);
  for (let start = 0; start < puts.length; start += 100) {
    await engine.txn({ compares: [], success: puts.slice(start, start + 100), failure: [] });
  }
}

async function list(path: string, options: { readonly recursive: boolean; readonly sliceMs?: number }) {
  const { revision } = await engine.status();
  return listDirectory({ engine, directory: parsePath(path), revision, now: NOW, ...options });
}

/**
 * What v3's keys mean to v2, straight from its rules: the names in a directory, in the order of their bytes. What is below
 * a name makes it a directory, though it may be nothing that is shown itself.
 */
function expected(keys: ReadonlySet<string>, directory: string): readonly Shown[] {
  const below = [...keys].filter((key) => key.startsWith(`${directory}/`));
  const names = new Set(below.map((key) => key.slice(directory.length + 1).split("/")[0] ?? ""));
  for (const name of names) if (["", ".", ".."].includes(name) || name.startsWith("_")) names.delete(name);
  const ordered = [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return ordered.map((name) => {
    const path = `${directory}/${name}`;
    return keys.has(path) ? path : { [path]: expected(keys, path) };
  });
}

const nameArb = fc.constantFrom(
  "a",
  "a-",
  "a-a",
  "a-a.a",
  "a.",
  "a!b",
  "b",
  "aé",
  "a\uffee",
  "a\u{1f600}",
  "_a",
  "_",
  "",
  ".",
  "..",
);
const keyArb = fc.array(nameArb, { minLength: 1, maxLength: 4 }).map((names) => `/${names.join("/")}`);

describe("listDirectory", () => {
  it("not recursive: has every child at its place, whatever is in it", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(keyArb, { maxLength: 40 }), async (keys) => {
        await openAnew();
        await put(...keys);
        const bare = (shownNode: Shown): Shown =>
          typeof shownNode === "string" ? shownNode : { [Object.keys(shownNode)[0] ?? ""]: [] };
        expect(shown(await list("/", { recursive: false }))).toEqual(expected(new Set(keys), "").map(bare));
        expect(shown(await list("/a", { recursive: false }))).toEqual(expected(new Set(keys), "/a").map(bare));
      }),
      { numRuns: 300 },
    );
  });

  it("recursive: has every node at its place, though directories are known only by what is in them", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(keyArb, { maxLength: 40 }), async (keys) => {
        await openAnew();
        await put(...keys);
        expect(shown(await list("/", { recursive: true }))).toEqual(expected(new Set(keys), ""));
        expect(shown(await list("/a", { recursive: true }))).toEqual(expected(new Set(keys), "/a"));
      }),
      { numRuns: 300 },
    );
  });

  it("built in the tiniest slices it is the same as at once", async () => {
    const step = fc.record({
      path: keyArb.map(parsePath),
      directory: fc.boolean(),
      byV3: fc.boolean(),
      expires: fc.constantFrom(undefined, NOW - 1, NOW, NOW + 1),
    });
    const run = async (steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[]) => {
      await openAnew();
      const clock = { now: () => NOW - 10, monotonic: () => performance.now() };
      const tree = await Tree.open({ engine, clock, log: silentLog });
      for (const { path, directory, byV3, expires } of steps) {
        if (byV3) await put(path);
        const content = directory ? ({ kind: "directory" } as const) : ({ kind: "file", value: utf8("x") } as const);
        const expiry = expires === undefined ? ({ kind: "never" } as const) : ({ kind: "at", expires } as const);
        // A node that cannot be made there is none.
        if (!byV3) await tree.write({ kind: "set", path, content, expiry, refresh: false }).catch(() => undefined);
      }
      for (const recursive of [true, false]) {
        const atOnce = shown(await list("/", { recursive, sliceMs: Number.POSITIVE_INFINITY }));
        expect(shown(await list("/", { recursive, sliceMs: 0 }))).toEqual(atOnce);
      }
      await tree.close();
    };
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 25 }), run), { numRuns: 150 });
  });

  it("goes on where a piece ended, and gives each value to its node", async () => {
    const names = Array.from(
      { length: 3 * TREE_SCAN_MOST_KEYS },
      (_, place) => `/d/n-${String(place).padStart(5, "0")}`,
    );
    await put(...names, "/d/n/inside", "/e");
    const nodes = [...(await list("/d", { recursive: true }))];
    expect(shown(nodes)).toEqual([{ "/d/n": ["/d/n/inside"] }, ...names]);
    const files = nodes.filter((node) => node.kind === "file");
    expect(files.every((file) => Buffer.from(file.value).toString() === file.path)).toBe(true);
    expect(shown(await list("/d", { recursive: false }))).toEqual([{ "/d/n": [] }, ...names]);
  });

  it("may be gone through again and again", async () => {
    await put("/a/b", "/c");
    const nodes = await list("/", { recursive: true });
    expect(shown(nodes)).toEqual(shown(nodes));
  });

  it("ends soon when nobody waits for it any more", async () => {
    await put(...Array.from({ length: 10 }, (_, place) => `/${place}`));
    const { revision } = await engine.status();
    let asked = 0;
    const isAbandoned = () => ++asked === 3;
    const options = { engine, directory: ROOT, revision, now: NOW, recursive: true, sliceMs: 0, isAbandoned };
    await expect(listDirectory(options)).rejects.toMatchObject({ code: "closed" });
    expect(asked).toBe(3);
  });
});
