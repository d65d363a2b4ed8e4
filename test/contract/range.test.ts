import { expect } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import type { RangeRequest, SortTarget } from "../../src/engine/model.ts";
import { onEveryEngine } from "./engines.ts";
import {
  ALL,
  apply,
  between,
  del,
  from,
  get,
  keys,
  keysOf,
  lines,
  name,
  one,
  prefix,
  put,
  rangeLines,
  refusal,
} from "./requests.ts";

/** a, b, c, d and ba, at revisions 2 to 6; then b again at 7, a at 8. */
async function fill(engine: Engine): Promise<void> {
  for (const [key, value] of [
    ["a", "5"],
    ["b", "4"],
    ["c", "3"],
    ["d", "2"],
    ["ba", "1"],
    ["b", "0"],
    ["a", "6"],
  ] as const) {
    await apply(engine, put(key, value));
  }
}

async function found(engine: Engine, request: RangeRequest): Promise<string> {
  return keys((await engine.range(request)).kvs);
}

onEveryEngine((test) => {
  test("range: an empty store is at revision 1", {}, async ({ engine }) => {
    expect(await engine.range(ALL)).toEqual({ revision: 1, kvs: [], more: false, count: 0 });
    expect(await engine.range(one("a"))).toEqual({ revision: 1, kvs: [], more: false, count: 0 });
  });

  test("range: one key, with its revisions and version", {}, async ({ engine }) => {
    await fill(engine);
    expect(rangeLines(await engine.range(one("b")))).toEqual({
      revision: 8,
      kvs: ["b=0 create 3 mod 7 version 2"],
      more: false,
      count: 1,
    });
    expect(await found(engine, one("bb"))).toBe("");
  });

  test("range: from key to end, the end left out", {}, async ({ engine }) => {
    await fill(engine);
    expect(await found(engine, between("b", "d"))).toBe("b ba c");
    expect(await found(engine, between("aa", "bz"))).toBe("b ba");
    expect(await found(engine, between("", "b"))).toBe("a");
  });

  test("range: nothing where the end is not after the key", {}, async ({ engine }) => {
    await fill(engine);
    for (const range of [between("b", "b"), between("c", "a"), between("b", ""), between("", ""), between("", "\0")]) {
      expect(await engine.range(range)).toEqual({ revision: 8, kvs: [], more: false, count: 0 });
    }
  });

  test("range: a prefix, and from a key on", {}, async ({ engine }) => {
    await fill(engine);
    expect(await found(engine, prefix("b"))).toBe("b ba");
    expect(await found(engine, from("ba"))).toBe("ba c d");
    expect(await found(engine, from(""))).toBe("a b ba c d");
    expect(await found(engine, from("e"))).toBe("");
  });

  test("range: keys and values are any bytes, in the order of unsigned bytes", {}, async ({ engine }) => {
    const rising = [[0], [0, 0], [0, 255], [1], [127], [128], [255], [255, 0], [255, 255]].map((key) =>
      Buffer.from(key),
    );
    for (const key of [...rising].reverse()) {
      await engine.txn({ compares: [], success: [{ kind: "put", request: { key, value: key } }], failure: [] });
    }
    const { kvs } = await engine.range(ALL);
    expect(kvs.map((kv) => name(kv.key))).toEqual(rising.map(name));
    expect(kvs.map((kv) => name(kv.value))).toEqual(rising.map(name));
    expect((await engine.range({ key: Buffer.from([255]), end: null })).count).toBe(3);
    expect((await engine.range({ key: Buffer.from([0]), end: Buffer.from([1]) })).count).toBe(3);
  });

  test("range: limit, more and count", {}, async ({ engine }) => {
    await fill(engine);
    const some = async (limit: number) => {
      const { kvs, more, count } = await engine.range({ ...ALL, limit });
      return { keys: keys(kvs), more, count };
    };
    expect(await some(2)).toEqual({ keys: "a b", more: true, count: 5 });
    expect(await some(4)).toEqual({ keys: "a b ba c", more: true, count: 5 });
    expect(await some(5)).toEqual({ keys: "a b ba c d", more: false, count: 5 });
    expect(await some(6)).toEqual({ keys: "a b ba c d", more: false, count: 5 });
    expect(await some(0)).toEqual({ keys: "a b ba c d", more: false, count: 5 });
  });

  test("range: the store as it stood at a past revision", {}, async ({ engine }) => {
    await fill(engine);
    await apply(engine, del(from("b")));
    const at = async (revision: number) => lines((await engine.range({ ...ALL, revision })).kvs);
    expect(await at(1)).toEqual([]);
    expect(await at(3)).toEqual(["a=5 create 2 mod 2 version 1", "b=4 create 3 mod 3 version 1"]);
    expect((await at(8))[1]).toBe("b=0 create 3 mod 7 version 2");
    expect(await at(9)).toEqual(["a=6 create 2 mod 8 version 2"]);
    expect(await at(0)).toEqual(await at(9));
    const { revision, count, more } = await engine.range({ ...ALL, revision: 4, limit: 1 });
    expect({ revision, count, more }).toEqual({ revision: 9, count: 3, more: true });
  });

  test("range: refuses a revision that has not happened", {}, async ({ engine }) => {
    await fill(engine);
    expect(await refusal(engine.range({ ...ALL, revision: 9 }))).toBe("futureRevision");
    expect(await refusal(engine.range({ ...one("a"), revision: 9, countOnly: true }))).toBe("futureRevision");
  });

  test("range: refuses an empty key that starts no range", {}, async ({ engine }) => {
    expect(await refusal(engine.range(one("")))).toBe("invalidArgument");
  });

  test("range: keysOnly leaves values out, and sorts by them nevertheless", {}, async ({ engine }) => {
    await fill(engine);
    const { kvs, count } = await engine.range({ ...ALL, keysOnly: true, sort: { target: "value", order: "ascend" } });
    expect(lines(kvs)).toEqual([
      "b= create 3 mod 7 version 2",
      "ba= create 6 mod 6 version 1",
      "d= create 5 mod 5 version 1",
      "c= create 4 mod 4 version 1",
      "a= create 2 mod 8 version 2",
    ]);
    expect(count).toBe(5);
  });

  test("range: countOnly answers with the count of the range alone", {}, async ({ engine }) => {
    await fill(engine);
    const nothing = { revision: 8, kvs: [], more: false };
    expect(await engine.range({ ...ALL, countOnly: true })).toEqual({ ...nothing, count: 5 });
    expect(await engine.range({ ...ALL, countOnly: true, limit: 2 })).toEqual({ ...nothing, count: 5 });
    expect(await engine.range({ ...ALL, countOnly: true, minModRevision: 7 })).toEqual({ ...nothing, count: 5 });
    expect(await engine.range({ ...prefix("b"), countOnly: true })).toEqual({ ...nothing, count: 2 });
    expect(await engine.range({ ...ALL, countOnly: true, revision: 3 })).toEqual({ ...nothing, count: 2 });
  });

  const orders = {
    key: "a b ba c d",
    createRevision: "a b c d ba",
    modRevision: "c d ba b a",
    value: "b ba d c a",
  } satisfies Partial<Record<SortTarget, string>>;
  for (const target of ["key", "createRevision", "modRevision", "value"] as const) {
    test(`range: sorts by ${target}, up and down, before the limit`, {}, async ({ engine }) => {
      await fill(engine);
      const rising = orders[target];
      const falling = rising.split(" ").reverse().join(" ");
      expect(await found(engine, { ...ALL, sort: { target, order: "ascend" } })).toBe(rising);
      expect(await found(engine, { ...ALL, sort: { target, order: "descend" } })).toBe(falling);
      const limited = await engine.range({ ...ALL, sort: { target, order: "descend" }, limit: 2 });
      expect(keys(limited.kvs)).toBe(falling.split(" ").slice(0, 2).join(" "));
      expect(limited).toMatchObject({ more: true, count: 5 });
    });
  }

  test("range: sorts by version", {}, async ({ engine }) => {
    for (const key of ["b", "a", "c", "a", "c", "a"]) {
      await apply(engine, put(key, ""));
    }
    expect(await found(engine, { ...ALL, sort: { target: "version", order: "ascend" } })).toBe("b c a");
    expect(await found(engine, { ...ALL, sort: { target: "version", order: "descend" } })).toBe("a c b");
  });

  test("range: equal targets keep key order, up and down", { needs: ["stableSort"] }, async ({ engine }) => {
    await apply(engine, put("b", "x"), put("a", "x"), put("d", "w"), put("c", "x"));
    for (const target of ["version", "createRevision", "modRevision"] as const) {
      expect(await found(engine, { ...ALL, sort: { target, order: "ascend" } })).toBe("a b c d");
      expect(await found(engine, { ...ALL, sort: { target, order: "descend" } })).toBe("a b c d");
    }
    expect(await found(engine, { ...ALL, sort: { target: "value", order: "ascend" } })).toBe("d a b c");
    expect(await found(engine, { ...ALL, sort: { target: "value", order: "descend" } })).toBe("a b c d");
  });

  test("range: bounds on revisions are inclusive, filter before the limit, and leave the count", {}, async ({
    engine,
  }) => {
    await fill(engine);
    const bounded = async (bounds: Partial<RangeRequest>) => {
      const { kvs, count } = await engine.range({ ...ALL, ...bounds });
      expect(count).toBe(5);
      return keys(kvs);
    };
    expect(await bounded({ minModRevision: 6 })).toBe("a b ba");
    expect(await bounded({ maxModRevision: 6 })).toBe("ba c d");
    expect(await bounded({ minModRevision: 5, maxModRevision: 7 })).toBe("b ba d");
    expect(await bounded({ minCreateRevision: 3 })).toBe("b ba c d");
    expect(await bounded({ maxCreateRevision: 3 })).toBe("a b");
    expect(await bounded({ minCreateRevision: 3, maxCreateRevision: 3, minModRevision: 4 })).toBe("b");
    expect(await bounded({ minModRevision: 100 })).toBe("");
    const limited = await engine.range({ ...ALL, minModRevision: 6, limit: 2 });
    expect({ keys: keys(limited.kvs), more: limited.more }).toEqual({ keys: "a b", more: true });
    const exact = await engine.range({ ...ALL, minModRevision: 6, limit: 3 });
    expect({ keys: keys(exact.kvs), more: exact.more }).toEqual({ keys: "a b ba", more: false });
  });

  test("range: a key that was deleted and put again starts anew", {}, async ({ engine }) => {
    await apply(engine, put("a", "1"));
    await apply(engine, put("a", "2"));
    await apply(engine, del(one("a")));
    await apply(engine, put("a", "3"));
    expect(lines((await engine.range(one("a"))).kvs)).toEqual(["a=3 create 5 mod 5 version 1"]);
  });

  test("range: reads one moment, however large it is, while writes go on", {}, async ({ engine }) => {
    const names = Array.from({ length: 3000 }, (_, index) => `k${String(index).padStart(4, "0")}`);
    for (let start = 0; start < names.length; start += 100) {
      await apply(engine, ...names.slice(start, start + 100).map((key) => put(key, "x".repeat(500))));
    }
    const [first = "", last = ""] = [names[0], names.at(-1)];
    const writeBoth = (value: string) => apply(engine, put(first, value), put(last, value), put("between", ""));
    await writeBoth("start");
    let reading = true;
    const writing = (async () => {
      for (let round = 0; reading; round++) {
        await apply(engine, del(one("between")));
        await writeBoth(`${round}`);
      }
    })();
    try {
      for (let round = 0; round < 10; round++) {
        const { kvs, count, revision } = await engine.range({ ...ALL, minModRevision: 1 });
        expect(kvs).toHaveLength(count);
        const [one, other] = [first, last].map((key) => lines(kvs.filter((kv) => name(kv.key) === key))[0]);
        expect(one?.split(" ").slice(3)).toEqual(other?.split(" ").slice(3));
        expect(Math.max(...kvs.map((kv) => kv.modRevision))).toBeLessThanOrEqual(revision);
      }
    } finally {
      reading = false;
      await writing;
    }
  });

  test("range: refuses a revision that is not whole", {}, async ({ engine }) => {
    await fill(engine);
    for (const revision of [Number.NaN, 1.5, Number.POSITIVE_INFINITY, 2 ** 53]) {
      expect(await refusal(engine.range({ ...ALL, revision }))).toBe("invalidArgument");
      expect(await refusal(apply(engine, get(ALL, { revision })))).toBe("invalidArgument");
      expect(await refusal(apply(engine, put("e", ""), get(ALL, { revision })))).toBe("invalidArgument");
      expect(await refusal((async () => engine.watch({ ...ALL, startRevision: revision }))())).toBe("invalidArgument");
    }
    expect(await engine.status()).toMatchObject({ revision: 8 });
  });

  test("range: uncounted, finds the same keys and the same more", {}, async ({ engine }) => {
    await fill(engine);
    const shapes: readonly Partial<RangeRequest>[] = [
      {},
      { keysOnly: true },
      { revision: 5 },
      { sort: { target: "value", order: "descend" } },
      { minModRevision: 6 },
    ];
    for (const range of [ALL, prefix("b"), one("b"), one("none"), between("b", "d")]) {
      for (const limit of [0, 1, 2, 4, 5, 6]) {
        for (const shape of shapes) {
          const { kvs, more, revision } = await engine.range({ ...range, ...shape, limit });
          const uncounted = await engine.range({ ...range, ...shape, limit, uncounted: true });
          expect({ ...uncounted, count: undefined }).toEqual({ kvs, more, revision, count: undefined });
        }
      }
    }
  });

  test("txn: ranges of one that only reads answer as ranges do alone", {}, async ({ engine }) => {
    await fill(engine);
    const options = [{}, { limit: 2 }, { countOnly: true }, { revision: 4 }, { keysOnly: true }] as const;
    const results = await apply(engine, ...options.map((option) => get(ALL, option)));
    for (const [index, option] of options.entries()) {
      const alone = await engine.range({ ...ALL, ...option });
      expect(results.results[index]).toEqual({ kind: "range", result: alone });
    }
  });

  test("range: what was put is kept, whatever becomes of the bytes that were given", {}, async ({ engine }) => {
    const value = Buffer.from("value");
    await engine.txn({
      compares: [],
      success: [{ kind: "put", request: { key: Buffer.from("key"), value } }],
      failure: [],
    });
    value.fill(0);
    expect(lines((await engine.range(ALL)).kvs)).toEqual(["key=value create 2 mod 2 version 1"]);
    expect(await keysOf(engine)).toBe("key");
  });
});
