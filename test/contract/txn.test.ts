import { expect } from "vitest";
import { onEveryBusyEngine } from "./engines.ts";
import {
  ALL,
  ALWAYS,
  apply,
  between,
  del,
  from,
  get,
  keysOf,
  lines,
  NEVER,
  name,
  nested,
  one,
  prefix,
  put,
  resultLines,
  txn,
} from "./requests.ts";

onEveryBusyEngine((test) => {
  test("txn: one that changes something makes one revision", { history: true }, async ({ engine }) => {
    expect(await apply(engine, put("a", "1"), put("b", "1"), del(one("c")))).toMatchObject({ revision: 2 });
    expect(lines((await engine.range(ALL)).kvs)).toEqual([
      "a=1 create 2 mod 2 version 1",
      "b=1 create 2 mod 2 version 1",
    ]);
    expect(await apply(engine, put("a", "1"))).toMatchObject({ revision: 3 });
    expect(await apply(engine, del(prefix("")))).toMatchObject({ revision: 4 });
  });

  test("txn: one that changes nothing makes none", { history: true }, async ({ engine }) => {
    await apply(engine, put("a", "1"));
    expect(await apply(engine)).toEqual({ revision: 2, succeeded: true, results: [] });
    expect(await apply(engine, get(ALL))).toMatchObject({ revision: 2 });
    expect(await apply(engine, del(one("b")), del(between("b", "c")))).toMatchObject({ revision: 2 });
    expect(await engine.txn(txn([NEVER], [put("a", "2")]))).toEqual({ revision: 2, succeeded: false, results: [] });
    expect(await engine.status()).toMatchObject({ revision: 2 });
  });

  test("txn: a put of the same value counts", {}, async ({ engine }) => {
    await apply(engine, put("a", "1"));
    await apply(engine, put("a", "1"));
    expect(lines((await engine.range(ALL)).kvs)).toEqual(["a=1 create 2 mod 3 version 2"]);
  });

  test("txn: applies success if all compares hold, else failure", { history: true }, async ({ engine }) => {
    const both = (compares: Parameters<typeof txn>[0], value: string) =>
      engine.txn(txn(compares, [put("yes", value)], [put("no", value)]));
    expect(await both([ALWAYS, ALWAYS], "1")).toMatchObject({ succeeded: true, revision: 2 });
    expect(await both([ALWAYS, NEVER], "2")).toMatchObject({ succeeded: false, revision: 3 });
    expect(await both([], "3")).toMatchObject({ succeeded: true, revision: 4 });
    expect(lines((await engine.range(ALL)).kvs)).toEqual([
      "no=2 create 3 mod 3 version 1",
      "yes=3 create 2 mod 4 version 2",
    ]);
  });

  test("txn: put answers with what was there before, where asked", {}, async ({ engine }) => {
    const first = await apply(engine, put("a", "1", { prevKv: true }));
    expect(first.results).toEqual([{ kind: "put", prevKv: undefined }]);
    const second = await apply(engine, put("a", "2", { prevKv: true }), put("b", "2"));
    expect(second.results.map(resultLines)).toEqual([
      { put: "a=1 create 2 mod 2 version 1" },
      { put: "nothing before" },
    ]);
    const third = await apply(engine, put("a", "3"));
    expect(third.results).toEqual([{ kind: "put", prevKv: undefined }]);
  });

  test("txn: put with ignoreValue keeps the value, and drops the lease", {}, async ({ engine }) => {
    await engine.grantLease({ id: 7n, ttl: 60 });
    await engine.grantLease({ id: 8n, ttl: 60 });
    await apply(engine, put("a", "1", { lease: 7n }), put("b", "1", { lease: 7n }));
    await apply(engine, put("a", "", { ignoreValue: true }), put("b", "", { ignoreValue: true, lease: 8n }));
    expect(lines((await engine.range(ALL)).kvs)).toEqual([
      "a=1 create 2 mod 3 version 2",
      "b=1 create 2 mod 3 version 2 lease 8",
    ]);
  });

  test("txn: put with ignoreLease keeps the lease", {}, async ({ engine }) => {
    await engine.grantLease({ id: 7n, ttl: 60 });
    await apply(engine, put("a", "1", { lease: 7n }), put("b", "1"));
    const { results } = await apply(
      engine,
      put("a", "2", { ignoreLease: true }),
      put("b", "", { ignoreLease: true, ignoreValue: true, prevKv: true }),
    );
    expect(results.map(resultLines)).toEqual([{ put: "nothing before" }, { put: "b=1 create 2 mod 2 version 1" }]);
    expect(lines((await engine.range(ALL)).kvs)).toEqual([
      "a=2 create 2 mod 3 version 2 lease 7",
      "b=1 create 2 mod 3 version 2",
    ]);
  });

  test("txn: deleteRange deletes one key, a range, a prefix, all from a key on", {}, async ({ engine }) => {
    await apply(engine, ...["a", "b", "ba", "bb", "c", "d", "e"].map((key) => put(key, key)));
    const deleted = async (...operation: Parameters<typeof del>) =>
      (await apply(engine, del(...operation))).results.map(resultLines);
    expect(await deleted(one("b"))).toEqual([{ deleted: 1, prevKvs: [] }]);
    expect(await deleted(one("b"))).toEqual([{ deleted: 0, prevKvs: [] }]);
    expect(await deleted(prefix("b"), { prevKv: true })).toEqual([
      { deleted: 2, prevKvs: ["ba=ba create 2 mod 2 version 1", "bb=bb create 2 mod 2 version 1"] },
    ]);
    expect(await deleted(between("b", "a"))).toEqual([{ deleted: 0, prevKvs: [] }]);
    expect(await deleted(between("a", "d"))).toEqual([{ deleted: 2, prevKvs: [] }]);
    expect(await keysOf(engine)).toBe("d e");
    expect(await deleted(from(""))).toEqual([{ deleted: 2, prevKvs: [] }]);
    expect(await keysOf(engine)).toBe("");
  });

  test("txn: ranges see what the operations before them did", { history: true }, async ({ engine }) => {
    await apply(engine, put("a", "1"), put("b", "1"));
    const { results, revision } = await apply(
      engine,
      get(ALL),
      put("c", "2"),
      get(ALL),
      del(one("a")),
      get(ALL, { countOnly: true }),
      nested([], [put("d", "2"), get(from("c"), { limit: 1 })]),
      get(prefix("d")),
      get(ALL, { revision: 1 }),
    );
    expect(revision).toBe(3);
    const [a, b, c, d] = ["a=1 create 2", "b=1 create 2", "c=2 create 3", "d=2 create 3"].map(
      (text) => `${text} mod ${text.at(-1)} version 1`,
    );
    expect(results.map(resultLines)).toEqual([
      { range: { revision: 2, kvs: [a, b], more: false, count: 2 } },
      { put: "nothing before" },
      { range: { revision: 3, kvs: [a, b, c], more: false, count: 3 } },
      { deleted: 1, prevKvs: [] },
      { range: { revision: 3, kvs: [], more: false, count: 2 } },
      {
        txn: true,
        results: [{ put: "nothing before" }, { range: { revision: 3, kvs: [c], more: true, count: 2 } }],
      },
      { range: { revision: 3, kvs: [d], more: false, count: 1 } },
      { range: { revision: 3, kvs: [], more: false, count: 0 } },
    ]);
  });

  test("txn: a deletion sees the puts before it that it does not touch, and deletions may overlap", {}, async ({
    engine,
  }) => {
    await apply(engine, put("a", "1"), put("b", "1"), put("c", "1"));
    const { results } = await apply(
      engine,
      del(between("a", "c")),
      put("d", "2"),
      del(from("e")),
      del(between("b", "d")),
    );
    expect(results.map(resultLines)).toEqual([
      { deleted: 2, prevKvs: [] },
      { put: "nothing before" },
      { deleted: 0, prevKvs: [] },
      { deleted: 1, prevKvs: [] },
    ]);
    expect(await keysOf(engine)).toBe("d");
  });

  test("txn: one that only reads may read past revisions", { history: true }, async ({ engine }) => {
    await apply(engine, put("a", "1"));
    await apply(engine, put("a", "2"));
    const { results } = await apply(
      engine,
      get(one("a"), { revision: 2 }),
      get(one("a")),
      get(one("a"), { revision: 1 }),
    );
    expect(results.map(resultLines)).toEqual([
      { range: { revision: 3, kvs: ["a=1 create 2 mod 2 version 1"], more: false, count: 1 } },
      { range: { revision: 3, kvs: ["a=2 create 2 mod 3 version 2"], more: false, count: 1 } },
      { range: { revision: 3, kvs: [], more: false, count: 0 } },
    ]);
  });

  test("txn: nested transactions take their own branches, in one revision", { history: true }, async ({ engine }) => {
    const { results, revision, succeeded } = await engine.txn(
      txn(
        [ALWAYS],
        [
          nested([NEVER], [put("a", "1")], [put("b", "1"), nested([ALWAYS], [put("c", "1")], [put("d", "1")])]),
          put("e", "1"),
        ],
        [put("f", "1")],
      ),
    );
    expect({ revision, succeeded }).toEqual({ revision: 2, succeeded: true });
    expect(results.map(resultLines)).toEqual([
      { txn: false, results: [{ put: "nothing before" }, { txn: true, results: [{ put: "nothing before" }] }] },
      { put: "nothing before" },
    ]);
    expect(await keysOf(engine)).toBe("b c e");
    expect((await engine.range(ALL)).kvs.every((kv) => kv.modRevision === 2)).toBe(true);
  });

  test("txn: compares of nested transactions see the store as it was before the outermost", {}, async ({ engine }) => {
    const exists = { ...one("a"), target: "version", result: "greater", expected: 0 } as const;
    const { results } = await apply(engine, put("a", "1"), nested([exists], [put("b", "1")], [put("c", "1")]));
    expect(results.map(resultLines)[1]).toMatchObject({ txn: false });
    const after = await apply(engine, del(one("a")), nested([exists], [put("d", "1")]));
    expect(after.results.map(resultLines)[1]).toMatchObject({ txn: true });
    expect(await keysOf(engine)).toBe("c d");
  });

  test("txn: concurrent ones are applied one after the other, none twice", { history: true }, async ({ engine }) => {
    await apply(engine, put("n", "0"));
    const increment = async (): Promise<number> => {
      for (;;) {
        const { kvs } = await engine.range(one("n"));
        const seen = kvs[0];
        if (seen === undefined) {
          throw new Error("n is gone");
        }
        const unchanged = {
          ...one("n"),
          target: "modRevision",
          result: "equal",
          expected: seen.modRevision,
        } as const;
        const { succeeded, revision } = await engine.txn(
          txn([unchanged], [put("n", `${Number(name(seen.value)) + 1}`)]),
        );
        if (succeeded) {
          return revision;
        }
      }
    };
    const revisions = await Promise.all(Array.from({ length: 20 }, increment));
    expect([...revisions].sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index + 3));
    expect(lines((await engine.range(one("n"))).kvs)).toEqual(["n=20 create 2 mod 22 version 21"]);
  });

  test("txn: reads what was acknowledged before it, in the order of the calls", { history: true }, async ({
    engine,
  }) => {
    const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => apply(engine, put("k", `${index}`))));
    expect(new Set(answers.map(({ revision }) => revision)).size).toBe(50);
    const last = answers.find(({ revision }) => revision === 51);
    expect(last).toBeDefined();
    expect((await engine.range(one("k"))).kvs[0]).toMatchObject({ modRevision: 51, version: 50 });
  });
});
