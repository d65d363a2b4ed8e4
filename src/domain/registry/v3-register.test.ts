import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { memberKey, membersOf, shown, TOKEN_TTL_MS, V3Registry } from "../../../test/support/v3-registry.ts";

let v3: V3Registry;

beforeEach(async () => {
  v3 = await V3Registry.open();
});

afterEach(() => v3[Symbol.asyncDispose]());

describe("Registry.register: a put as etcd's v3 discovery sends it", () => {
  it("creates the entry, and the registry keeps protocol, address and host", async () => {
    const token = await v3.newToken(3);
    const at = await v3.registerByV3(token, "a1", "one=http://10.0.0.1:2380");
    expect(at).toBe(await v3.revision());
    expect(await v3.listByV2(token)).toEqual(["a1=one=http://10.0.0.1:2380"]);
    expect(await v3.memberRecord(token, "a1")).toMatchObject({
      protocol: "v3",
      action: "create",
      address: "10.0.0.1",
      host: "muster:8088",
    });
  });

  it("writes nothing when it is repeated, before and after the token is complete", async () => {
    const token = await v3.newToken(2);
    await v3.registerByV3(token, "a1", "one=u");
    const before = await v3.revision();
    expect(await v3.registerByV3(token, "a1", "one=u")).toBe(before);
    await v3.registerByV3(token, "a2", "two=u");
    const complete = await v3.revision();
    expect(await v3.registerByV3(token, "a1", "one=u")).toBe(complete);
    expect(await v3.revision()).toBe(complete);
  });

  it("takes another value until the token has been complete, and keeps the first createRevision", async () => {
    const token = await v3.newToken(2);
    const first = await v3.registerByV3(token, "a1", "one=u");
    await v3.registerByV3(token, "a1", "renamed=u");
    const { kvs } = await v3.keyspace.range({ key: memberKey(token, "a1") });
    expect(kvs[0]).toMatchObject({ createRevision: first, version: 2 });
    expect(await v3.listByV3(token)).toEqual(["members/a1=renamed=u"]);
  });

  it("refuses to change an entry of a token that has been complete, whatever became of the others", async () => {
    const token = await v3.newToken(2);
    await v3.registerByV3(token, "a1", "one=u");
    await v3.registerByV3(token, "a2", "two=u");
    await v3.commit({ kind: "deleteRange", request: { key: memberKey(token, "a2") } });
    const before = await v3.revision();
    await expect(v3.registerByV3(token, "a1", "other=u")).rejects.toMatchObject({ code: "readOnly" });
    expect(await v3.revision()).toBe(before);
    expect(await v3.listByV3(token)).toEqual(["members/a1=one=u"]);
  });

  it("lets a node too many register, so that it finds itself behind the others", async () => {
    const token = await v3.newToken(1);
    await v3.registerByV3(token, "b", "one=u");
    await v3.registerByV3(token, "a", "late=u");
    const { kvs } = await v3.keyspace.range({
      ...membersOf(token),
      sort: { target: "createRevision", order: "ascend" },
    });
    expect(shown(kvs)).toEqual(["members/b=one=u", "members/a=late=u"]);
  });

  it("needs a token that exists and whose time is not over", async () => {
    const token = await v3.newToken(1);
    v3.clock.ms += TOKEN_TTL_MS;
    const before = await v3.revision();
    await expect(v3.registerByV3(token, "a", "one=u")).rejects.toMatchObject({ code: "nodeNotFound" });
    expect(await v3.revision()).toBe(before);
  });

  it("marks the token complete, and moves its expiry on", async () => {
    const token = await v3.newToken(2);
    v3.clock.ms += TOKEN_TTL_MS / 2;
    await v3.registerByV3(token, "a1", "one=u");
    expect(await v3.record(token)).toMatchObject({ complete: false, expires: v3.clock.now() + TOKEN_TTL_MS });
    await v3.registerByV3(token, "a2", "two=u");
    expect(await v3.record(token)).toMatchObject({ complete: true });
  });

  it("of forty registrations at once, each other's rivals, none is lost", async () => {
    const token = await v3.newToken(40);
    const ids = Array.from({ length: 40 }, (_, number) => (number + 16).toString(16));
    await Promise.all(ids.map((id) => v3.registerByV3(token, id, `n${id}=u`)));
    expect((await v3.keyspace.range(membersOf(token))).count).toBe(40);
    expect(await v3.record(token)).toMatchObject({ complete: true });
  });
});
