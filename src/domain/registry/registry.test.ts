import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HOUR_MS, RegistryStage } from "../../../test/support/registry-stage.ts";
import { text, utf8 } from "../../base/bytes.ts";
import type { Expiry, TreeEvent, TreeWatch, WriteCommand } from "../tree/model.ts";
import { childPath, parentOf } from "../tree/tree-path.ts";
import { sizePath, type Token, tokenPath } from "./token.ts";

const NEVER: Expiry = { kind: "never" };

let stage: RegistryStage;
beforeEach(async () => {
  stage = await RegistryStage.open();
});
afterEach(() => stage.close());

function create(token: Token, id: string, value: string): WriteCommand {
  const path = childPath(tokenPath(token), id);
  return { kind: "create", path, content: { kind: "file", value: utf8(value) }, expiry: NEVER };
}

function set(token: Token, id: string, value: string): WriteCommand {
  const path = childPath(tokenPath(token), id);
  return { kind: "set", path, content: { kind: "file", value: utf8(value) }, expiry: NEVER, refresh: false };
}

function remove(token: Token, id: string): WriteCommand {
  return { kind: "delete", path: childPath(tokenPath(token), id), directory: false, recursive: false };
}

async function next(watch: TreeWatch): Promise<TreeEvent> {
  for await (const event of watch) return event;
  throw new Error("the watch ended");
}

/** A restart after which the store's history is gone too. */
async function forgetHistory(): Promise<void> {
  await stage.engine.txn({
    compares: [],
    success: [{ kind: "put", request: { key: utf8("/other"), value: utf8("") } }],
    failure: [],
  });
  await stage.engine.compact(await stage.revision());
  await stage.restart();
}

function told(event: TreeEvent): string {
  const value = event.node.kind === "file" ? text(event.node.value) : "(directory)";
  return `${event.action} ${event.node.path.split("/").at(-1)}=${value} @${event.node.modifiedIndex}`;
}

describe("Registry.createToken", () => {
  it("makes a token of 32 hex digits with its size in one revision", async () => {
    const before = await stage.revision();
    const { token, index } = await stage.registry.createToken(5);
    expect(token).toBe(stage.now.toString(16).slice(-8) + "01".repeat(12));
    expect(index).toBe(before + 1);
    expect(await stage.revision()).toBe(before + 1);
    const { node } = await stage.nodes.get(sizePath(token), { recursive: false, sorted: false });
    expect(node.kind === "file" && text(node.value)).toBe("5");
  });
});

describe("Registry: writes on the public listener", () => {
  it("need a token that exists", async () => {
    await stage.registry.createToken(1);
    const before = await stage.revision();
    const nobodys = "f".repeat(32) as Token;
    await expect(stage.nodes.write(create(nobodys, "m", "a=u"))).rejects.toMatchObject({ code: "nodeNotFound" });
    expect(await stage.revision()).toBe(before);
  });

  it("cannot take a token or its size away, nor give it a time to live", async () => {
    const { token } = await stage.registry.createToken(3);
    const at = tokenPath(token);
    const refused: WriteCommand[] = [
      { kind: "delete", path: at, directory: true, recursive: true },
      {
        kind: "update",
        path: at,
        content: { kind: "directory" },
        expiry: { kind: "at", expires: stage.now + 1 },
        refresh: false,
      },
      { kind: "update", path: at, content: { kind: "file", value: utf8("") }, expiry: NEVER, refresh: false },
      { kind: "delete", path: sizePath(token), directory: false, recursive: false },
      { kind: "delete", path: childPath(at, "_config"), directory: true, recursive: true },
      {
        kind: "update",
        path: childPath(at, "_config"),
        content: { kind: "file", value: utf8("") },
        expiry: { kind: "at", expires: stage.now + 1 },
        refresh: false,
      },
      set(token, "_config/other", "x"),
    ];
    for (const command of refused) {
      await expect(stage.nodes.write(command), command.kind).rejects.toMatchObject({ code: "readOnly" });
    }
  });

  it("cannot make a size that is none", async () => {
    const { token } = await stage.registry.createToken(3);
    const size = (value: string): WriteCommand => set(token, "_config/size", value);
    await expect(stage.nodes.write(size("0"))).rejects.toMatchObject({ code: "invalidField" });
    await expect(stage.nodes.write(size("three"))).rejects.toMatchObject({ code: "invalidField" });
    await expect(stage.nodes.write(size("+5"))).rejects.toMatchObject({ code: "invalidField" });
    await expect(stage.nodes.write(size("5"))).resolves.toMatchObject({ action: "set" });
  });
});

describe("Registry: registering", () => {
  it("is idempotent until the token has been complete: the first node again, nothing written", async () => {
    const { token } = await stage.registry.createToken(2);
    const first = await stage.nodes.write(create(token, "m1", "a=u1"));
    const before = await stage.revision();
    const again = await stage.nodes.write(create(token, "m1", "a=u1"));
    expect(told(again)).toBe(told(first));
    expect(again.prevNode).toBeUndefined();
    expect(await stage.revision()).toBe(before);
  });

  it("refuses another value for a member that is there", async () => {
    const { token } = await stage.registry.createToken(2);
    await stage.nodes.write(create(token, "m1", "a=u1"));
    await expect(stage.nodes.write(create(token, "m1", "b=u2"))).rejects.toMatchObject({ code: "nodeExists" });
  });

  it("refuses a repetition once the token has been complete, also after a member was deleted", async () => {
    const { token } = await stage.registry.createToken(2);
    await stage.nodes.write(create(token, "m1", "a=u1"));
    await stage.nodes.write(create(token, "m2", "b=u2"));
    await expect(stage.nodes.write(create(token, "m1", "a=u1"))).rejects.toMatchObject({ code: "nodeExists" });
    await stage.nodes.write(remove(token, "m2"));
    await expect(stage.nodes.write(create(token, "m1", "a=u1"))).rejects.toMatchObject({ code: "nodeExists" });
  });

  it("never repeats _state, which elects", async () => {
    const { token } = await stage.registry.createToken(2);
    await stage.nodes.write(create(token, "_state", "started"));
    await expect(stage.nodes.write(create(token, "_state", "started"))).rejects.toMatchObject({ code: "nodeExists" });
  });

  it("marks a token complete when its last members come at once", async () => {
    const { token } = await stage.registry.createToken(8);
    await Promise.all(Array.from({ length: 8 }, (_, n) => stage.nodes.write(create(token, `m${n}`, `n${n}=u`))));
    await stage.nodes.write(remove(token, "m0"));
    await expect(stage.nodes.write(create(token, "m1", "n1=u"))).rejects.toMatchObject({ code: "nodeExists" });
  });
});

describe("Registry: waits at a token", () => {
  it("tell the first registration of each member, in order, from the index on", async () => {
    const { token } = await stage.registry.createToken(3);
    const m1 = await stage.nodes.write(create(token, "m1", "a=u1"));
    const m2 = await stage.nodes.write(set(token, "m2", "b=u2"));
    const path = tokenPath(token);
    const from = (waitIndex: number) => stage.nodes.watch({ path, recursive: true, waitIndex });
    expect(told(await next(await from(m1.index)))).toBe(`create m1=a=u1 @${m1.index}`);
    expect(told(await next(await from(m1.index + 1)))).toBe(`set m2=b=u2 @${m2.index}`);
    const waiting = await from(m2.index + 1);
    const m3 = await stage.nodes.write(create(token, "m3", "c=u3"));
    expect(told(await next(waiting))).toBe(`create m3=c=u3 @${m3.index}`);
    expect(waiting.index).toBe(m2.index);
  });

  it("stay silent for whatever else happens below the token", async () => {
    const { token } = await stage.registry.createToken(3);
    const m1 = await stage.nodes.write(create(token, "m1", "a=u1"));
    const waiting = await stage.nodes.watch({ path: tokenPath(token), recursive: true, waitIndex: m1.index + 1 });
    await stage.nodes.write(set(token, "m1", "a=heartbeat"));
    await stage.nodes.write({
      kind: "update",
      path: childPath(tokenPath(token), "m1"),
      content: { kind: "file", value: utf8("x") },
      expiry: NEVER,
      refresh: false,
    });
    await stage.nodes.write(create(token, "_state", "started"));
    const m2 = await stage.nodes.write(create(token, "m2", "b=u2"));
    expect(told(await next(waiting))).toBe(`create m2=b=u2 @${m2.index}`);
  });

  it("are answered from the token's state when history is gone", async () => {
    const { token } = await stage.registry.createToken(3);
    const m1 = await stage.nodes.write(create(token, "m1", "a=u1"));
    await forgetHistory();
    const path = tokenPath(token);
    const members = await stage.nodes.watch({ path, recursive: true, waitIndex: 1 });
    expect(told(await next(members))).toBe(`create m1=a=u1 @${m1.index}`);
    const own = await stage.nodes.watch({ path: childPath(path, "m1"), recursive: false, waitIndex: m1.index });
    expect(told(await next(own))).toBe(`create m1=a=u1 @${m1.index}`);
  });

  it("end when a member is taken away, so that nodes that counted it read the list afresh", async () => {
    const { token } = await stage.registry.createToken(4);
    const m1 = await stage.nodes.write(create(token, "m1", "a=u1"));
    const path = tokenPath(token);
    const waiting = await stage.nodes.watch({ path, recursive: true, waitIndex: m1.index + 1 });
    await stage.nodes.write(remove(token, "m1"));
    await expect(next(waiting)).rejects.toThrow("the watch ended");
    const late = await stage.nodes.watch({ path, recursive: true, waitIndex: m1.index + 1 });
    await expect(next(late)).rejects.toThrow("the watch ended");
    const afresh = await stage.nodes.watch({ path, recursive: true, waitIndex: (await stage.revision()) + 1 });
    const again = await stage.nodes.write(create(token, "m1", "a=u1"));
    expect(told(await next(afresh))).toBe(`create m1=a=u1 @${again.index}`);
  });

  it("tell nobody again of a member that they knew, where history does not say that it was away", async () => {
    const { token } = await stage.registry.createToken(4);
    const m1 = await stage.nodes.write(create(token, "m1", "a=u1"));
    await stage.nodes.write(remove(token, "m1"));
    await stage.nodes.write(create(token, "m1", "a=u1"));
    await stage.restart();
    const waiting = await stage.nodes.watch({ path: tokenPath(token), recursive: true, waitIndex: m1.index + 1 });
    const m2 = await stage.nodes.write(create(token, "m2", "b=u2"));
    expect(told(await next(waiting))).toBe(`create m2=b=u2 @${m2.index}`);
  });

  it("tell nobody again of a member that they knew, though a directory stood in its place meanwhile", async () => {
    const { token } = await stage.registry.createToken(3);
    const known = (await stage.nodes.write(create(token, "a", "a=u"))).index;
    const path = childPath(tokenPath(token), "a");
    const { operator } = stage;
    const directory = { kind: "directory" } as const;
    const waiting = await stage.nodes.watch({ path: tokenPath(token), recursive: true, waitIndex: known + 1 });
    await operator.write({ kind: "set", path, content: directory, expiry: NEVER, refresh: false });
    await operator.write({ kind: "delete", path, directory: true, recursive: true });
    await operator.write(create(token, "a", "a=u"));
    const b = await stage.nodes.write(create(token, "b", "b=u"));
    expect(told(await next(waiting))).toBe(`create b=b=u @${b.index}`);
  });

  it("tell nobody again of a member that they knew, which went while Muster was down and comes again", async () => {
    const { token } = await stage.registry.createToken(4);
    const m1 = await stage.nodes.write(create(token, "m1", "a=u1"));
    await stage.nodes.write(remove(token, "m1"));
    await stage.restart();
    const waiting = await stage.nodes.watch({ path: tokenPath(token), recursive: true, waitIndex: m1.index + 1 });
    await stage.nodes.write(create(token, "m1", "a=u1"));
    const m2 = await stage.nodes.write(create(token, "m2", "b=u2"));
    expect(told(await next(waiting))).toBe(`create m2=b=u2 @${m2.index}`);
  });

  it("tell nobody of a member that has gone again before its turn to be told", async () => {
    const { token } = await stage.registry.createToken(3);
    const from = (await stage.revision()) + 1;
    await stage.nodes.write(create(token, "a", "a=u"));
    await stage.nodes.write(remove(token, "a"));
    const watch = await stage.nodes.watch({ path: tokenPath(token), recursive: true, waitIndex: from });
    await expect(next(watch)).rejects.toThrow("the watch ended");
  });

  it("end when the token goes, so that nodes ask again and are told", async () => {
    const { token } = await stage.registry.createToken(3);
    const waiting = await stage.nodes.watch({ path: tokenPath(token), recursive: true });
    stage.now += HOUR_MS + 1;
    expect(await stage.registry.sweep()).toBe(1);
    await expect(next(waiting)).rejects.toThrow("the watch ended");
  });

  it("for an entry are answered from the entry when history is gone, and stay open where there is none", async () => {
    const { token } = await stage.registry.createToken(3);
    const m1 = await stage.nodes.write(set(token, "m1", "a=u1"));
    const renewed = await stage.nodes.write(set(token, "m1", "a=u2"));
    await forgetHistory();
    const path = childPath(tokenPath(token), "m1");
    const standing = await stage.nodes.watch({ path, recursive: false, waitIndex: m1.index });
    expect(told(await next(standing))).toBe(`set m1=a=u2 @${renewed.index}`);
    const absent = await stage.nodes.watch({ path: childPath(tokenPath(token), "m2"), recursive: false, waitIndex: 1 });
    const m2 = await stage.nodes.write(create(token, "m2", "b=u"));
    expect(told(await next(absent))).toBe(`create m2=b=u @${m2.index}`);
  });

  it("of a token that is none are refused on the public listener", async () => {
    await stage.registry.createToken(1);
    const path = tokenPath("e".repeat(32) as Token);
    await expect(stage.nodes.watch({ path, recursive: true })).rejects.toMatchObject({ code: "nodeNotFound" });
  });
});

describe("Registry: expiry", () => {
  it("takes a token and its keys away a while after its last registration", async () => {
    const { token } = await stage.registry.createToken(3);
    stage.now += HOUR_MS / 2;
    await stage.nodes.write(create(token, "m1", "a=u1"));
    stage.now += HOUR_MS / 2 + 1;
    expect(await stage.registry.sweep()).toBe(0);
    expect(await stage.registry.exists(token)).toBe(true);
    stage.now += HOUR_MS / 2;
    expect(await stage.registry.exists(token)).toBe(false);
    await expect(stage.nodes.get(tokenPath(token), { recursive: false, sorted: false })).rejects.toMatchObject({
      code: "nodeNotFound",
    });
    expect(await stage.registry.sweep()).toBe(1);
    const { count } = await stage.engine.range({ key: utf8("/"), end: null, countOnly: true });
    expect(count).toBe(0);
    const internal = await stage.engine.range({ key: Buffer.from([0]), end: Buffer.from([1]), keysOnly: true });
    const left = internal.kvs.map(({ key }) => text(key)).filter((key) => key.includes(token));
    expect(left).toEqual([]);
  });

  it("leaves a token alone that was made by hand after one of its name was deleted", async () => {
    const { token } = await stage.registry.createToken(3);
    const { operator } = stage;
    const root = parentOf(tokenPath(token));
    await operator.write({ kind: "delete", path: root, directory: true, recursive: true });
    await operator.write(set(token, "_config/size", "3"));
    stage.now += 2 * HOUR_MS;
    expect(await stage.registry.sweep()).toBe(0);
    expect(await stage.registry.exists(token)).toBe(true);
  });

  it("leaves tokens that were made by hand alone", async () => {
    const { operator } = stage;
    const token = "by-hand" as Token;
    await operator.write({
      kind: "set",
      path: sizePath(token),
      content: { kind: "file", value: utf8("3") },
      expiry: NEVER,
      refresh: false,
    });
    expect(await stage.registry.exists(token)).toBe(true);
    await stage.nodes.write(create(token, "m1", "a=u1"));
    stage.now += 1000 * HOUR_MS;
    expect(await stage.registry.sweep()).toBe(0);
    expect(await stage.registry.exists(token)).toBe(true);
  });
});
