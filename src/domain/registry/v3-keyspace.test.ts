import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { memberKey, membersOf, put, shown, V3Registry } from "../../../test/support/v3-registry.ts";
import { prefixEnd, utf8 } from "../../base/bytes.ts";
import type { OperationResult } from "../../engine/model.ts";
import { type Token, tokenPath } from "./token.ts";

let v3: V3Registry;

beforeEach(async () => {
  v3 = await V3Registry.open();
});

afterEach(() => v3[Symbol.asyncDispose]());

describe("the members of a token, by v3", () => {
  it("are those that came by v2 too, with the revisions of the stored keys; hidden names are none", async () => {
    const token = await v3.newToken(3);
    const created = (await v3.registerByV2(token, "b", "two=u")).index;
    await v3.registerByV2(token, "_state", "started");
    await v3.registerByV3(token, "a", "one=u");
    const { kvs, count, more } = await v3.keyspace.range(membersOf(token));
    expect(shown(kvs)).toEqual(["members/a=one=u", "members/b=two=u"]);
    expect(kvs[1]).toMatchObject({ createRevision: created, modRevision: created, version: 1 });
    expect({ count, more }).toEqual({ count: 2, more: false });
  });

  it("come in the order, number and shape that was asked for", async () => {
    const token = await v3.newToken(3);
    for (const id of ["c", "a", "b"]) await v3.registerByV3(token, id, `n${id}=u`);
    const range = membersOf(token);
    const byAge = { target: "createRevision", order: "ascend" } as const;
    const oldest = await v3.keyspace.range({ ...range, sort: byAge, limit: 2, keysOnly: true });
    expect(shown(oldest.kvs)).toEqual(["members/c=", "members/a="]);
    expect(oldest).toMatchObject({ more: true, count: 3 });
    expect(await v3.keyspace.range({ ...range, countOnly: true })).toMatchObject({ kvs: [], count: 3 });
    const part = await v3.keyspace.range({ key: memberKey(token, "b"), end: memberKey(token, "z") });
    expect(shown(part.kvs)).toEqual(["members/b=nb=u", "members/c=nc=u"]);
    const slash = await v3.keyspace.range({ key: memberKey(token, ""), end: prefixEnd(memberKey(token, "")) });
    expect(slash.count).toBe(3);
  });

  it("are read at a past revision", async () => {
    const token = await v3.newToken(3);
    const first = await v3.registerByV3(token, "a", "one=u");
    await v3.registerByV3(token, "b", "two=u");
    expect(shown((await v3.keyspace.range({ ...membersOf(token), revision: first })).kvs)).toEqual(["members/a=one=u"]);
  });

  it("stand in wider ranges once, where they are stored", async () => {
    const token = await v3.newToken(3);
    await v3.registerByV3(token, "a", "one=u");
    const key = utf8(`${tokenPath(token)}/`);
    expect(shown((await v3.keyspace.range({ key, end: prefixEnd(key) })).kvs)).toEqual(["_config/size=3", "a=one=u"]);
  });
});

describe("what v3 clients write below a token", () => {
  it("a size put by hand makes a token for both protocols", async () => {
    const token = "by-hand" as Token;
    await v3.commit(put(utf8(`${tokenPath(token)}/_config/size`), "2"));
    expect(await v3.exists(token)).toBe(true);
    await v3.registerByV2(token, "a", "one=u");
    await v3.registerByV3(token, "b", "two=u");
    expect(await v3.listByV2(token)).toEqual(["a=one=u", "b=two=u"]);
    expect(await v3.listByV3(token)).toEqual(["members/a=one=u", "members/b=two=u"]);
    expect(await v3.record(token)).toMatchObject({ issued: false, complete: true });
  });

  it("a member that is put, at either of its keys, is a member for v2, and counts", async () => {
    const token = await v3.newToken(2);
    expect(await v3.listByV2(token)).toEqual([]);
    const { results } = await v3.commit(
      put(memberKey(token, "a"), "one=u"),
      put(utf8(`${tokenPath(token)}/b`), "two=u"),
      put(utf8("/elsewhere"), "x"),
    );
    expect(results).toHaveLength(3);
    expect(await v3.listByV2(token)).toEqual(["a=one=u", "b=two=u"]);
    expect(await v3.record(token)).toMatchObject({ complete: true });
    expect(await v3.memberRecord(token, "a")).toMatchObject({ protocol: "v3", action: "set" });
  });

  it("answers name the members as they were asked for", async () => {
    const token = await v3.newToken(3);
    await v3.registerByV3(token, "a", "one=u");
    await v3.registerByV3(token, "b", "two=u");
    const { results } = await v3.commit(
      { kind: "range", request: { ...membersOf(token), keysOnly: true } },
      { kind: "put", request: { key: memberKey(token, "a"), value: utf8("new=u"), prevKv: true } },
      { kind: "deleteRange", request: { key: memberKey(token, "b"), prevKv: true } },
    );
    expect(results.map(told)).toEqual([["members/a=", "members/b="], ["members/a=one=u"], ["1", "members/b=two=u"]]);
  });

  it("deleting the members' prefix leaves the token, its size and that it was complete", async () => {
    const token = await v3.newToken(2);
    await v3.registerByV3(token, "a", "one=u");
    await v3.registerByV3(token, "z", "two=u");
    const { results } = await v3.commit({ kind: "deleteRange", request: { ...membersOf(token), prevKv: true } });
    expect(results.map(told)).toEqual([["2", "members/a=one=u", "members/z=two=u"]]);
    expect(await v3.listByV3(token)).toEqual([]);
    expect(await v3.exists(token)).toBe(true);
    expect(await v3.record(token)).toMatchObject({ complete: true });
  });

  it("deleting a whole token leaves no record of it", async () => {
    const token = await v3.newToken(2);
    await v3.registerByV3(token, "a", "one=u");
    const key = utf8(tokenPath(token));
    await v3.commit({ kind: "deleteRange", request: { key, end: prefixEnd(key) } });
    expect(await v3.exists(token)).toBe(false);
    const records = await v3.engine.range({ key: utf8("\0r"), end: utf8("\0s") });
    const memberRecords = await v3.engine.range({ key: utf8("\0m"), end: utf8("\0n") });
    expect([records.count, memberRecords.count]).toEqual([0, 0]);
  });

  it("a compare of a member's key decides as if it stood where v3 looks for it", async () => {
    const token = await v3.newToken(2);
    await v3.registerByV3(token, "a", "one=u");
    const compare = (id: string) =>
      ({ key: memberKey(token, id), target: "version", result: "greater", expected: 0 }) as const;
    const tried = async (id: string) =>
      (await v3.keyspace.txn({ compares: [compare(id)], success: [put(memberKey(token, id), "x=u")], failure: [] }))
        .succeeded;
    const before = await v3.revision();
    expect(await tried("b")).toBe(false);
    expect(await v3.revision()).toBe(before);
    expect(await tried("a")).toBe(true);
    expect(await v3.listByV3(token)).toEqual(["members/a=x=u"]);
  });

  it("a deletion of nothing makes no revision, and an internal key is refused beside a member", async () => {
    const token = await v3.newToken(2);
    const before = await v3.revision();
    await v3.commit({ kind: "deleteRange", request: { key: memberKey(token, "none") } });
    await expect(v3.commit(put(memberKey(token, "a"), "x=u"), put(utf8("\0r"), "x"))).rejects.toMatchObject({
      code: "invalidArgument",
    });
    expect(await v3.revision()).toBe(before);
  });

  it("members that are put and deleted at once by many are counted truly", async () => {
    const token = await v3.newToken(20);
    const ids = Array.from({ length: 20 }, (_, number) => (number + 16).toString(16));
    await Promise.all(ids.map((id) => v3.commit(put(memberKey(token, id), `n${id}=u`))));
    expect(await v3.record(token)).toMatchObject({ complete: true });
    expect(await v3.listByV3(token)).toHaveLength(20);
  });
});

function told(result: OperationResult): readonly string[] {
  switch (result.kind) {
    case "range":
      return shown(result.result.kvs);
    case "put":
      return result.prevKv === undefined ? [] : shown([result.prevKv]);
    case "deleteRange":
      return [String(result.deleted), ...shown(result.prevKvs)];
    case "txn":
      return result.results.flatMap(told);
  }
}
