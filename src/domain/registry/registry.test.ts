import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { text, utf8 } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import type { Engine } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import type { Expiry, TreeEvent, TreeStore, TreeWatch, WriteCommand } from "../tree/model.ts";
import { Tree } from "../tree/tree.ts";
import { childPath, parentOf } from "../tree/tree-path.ts";
import type { Origin } from "./origin.ts";
import { Registry } from "./registry.ts";
import { sizePath, type Token, tokenPath } from "./token.ts";

const HOUR = 3_600_000;
const NEVER: Expiry = { kind: "never" };
const PUBLIC: Origin = { protocol: "v2", address: "10.0.0.1", host: "discovery:8087", connection: {}, scope: "public" };
const CLIENT: Origin = { ...PUBLIC, scope: "client" };

let now: number;
let engine: Engine;
let tree: Tree;
let registry: Registry;
let store: TreeStore;
let tokensMade: number;
const clock: Clock = { now: () => now, monotonic: () => now };

beforeEach(async () => {
  now = 1_700_000_000_000;
  tokensMade = 0;
  engine = openMemoryEngine({ clock });
  await openAll();
});

async function openAll(): Promise<void> {
  tree = await Tree.open({ engine, clock, log: silentLog });
  const randomTokenBytes = () => Buffer.alloc(12, ++tokensMade);
  registry = Registry.open({ engine, tree, clock, log: silentLog, tokenTtlMs: HOUR, randomTokenBytes });
  store = registry.storeFor(PUBLIC);
}

afterEach(async () => {
  await registry.close();
  await tree.close();
  await engine.close();
});

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

async function revision(): Promise<number> {
  return (await engine.status()).revision;
}

async function next(watch: TreeWatch): Promise<TreeEvent> {
  for await (const event of watch) return event;
  throw new Error("the watch ended");
}

/** As the service on the same store: the tree's latest events are gone. */
async function restart(): Promise<void> {
  await registry.close();
  await tree.close();
  await openAll();
}

/** A restart after which the store's history is gone too. */
async function forgetHistory(): Promise<void> {
  await engine.txn({
    compares: [],
    success: [{ kind: "put", request: { key: utf8("/other"), value: utf8("") } }],
    failure: [],
  });
  await engine.compact(await revision());
  await restart();
}

function told(event: TreeEvent): string {
  const value = event.node.kind === "file" ? text(event.node.value) : "(directory)";
  return `${event.action} ${event.node.path.split("/").at(-1)}=${value} @${event.node.modifiedIndex}`;
}

describe("Registry.createToken", () => {
  it("makes a token of 32 hex digits with its size in one revision", async () => {
    const before = await revision();
    const { token, index } = await registry.createToken(5);
    expect(token).toBe(now.toString(16).slice(-8) + "01".repeat(12));
    expect(index).toBe(before + 1);
    expect(await revision()).toBe(before + 1);
    const { node } = await store.get(sizePath(token), { recursive: false, sorted: false });
    expect(node.kind === "file" && text(node.value)).toBe("5");
  });
});

describe("Registry: writes on the public listener", () => {
  it("need a token that exists", async () => {
    await registry.createToken(1);
    const before = await revision();
    const nobodys = "f".repeat(32) as Token;
    await expect(store.write(create(nobodys, "m", "a=u"))).rejects.toMatchObject({ code: "nodeNotFound" });
    expect(await revision()).toBe(before);
  });

  it("cannot take a token or its size away, nor give it a time to live", async () => {
    const { token } = await registry.createToken(3);
    const at = tokenPath(token);
    const refused: WriteCommand[] = [
      { kind: "delete", path: at, directory: true, recursive: true },
      {
        kind: "update",
        path: at,
        content: { kind: "directory" },
        expiry: { kind: "at", expires: now + 1 },
        refresh: false,
      },
      { kind: "update", path: at, content: { kind: "file", value: utf8("") }, expiry: NEVER, refresh: false },
      { kind: "delete", path: sizePath(token), directory: false, recursive: false },
      { kind: "delete", path: childPath(at, "_config"), directory: true, recursive: true },
      {
        kind: "update",
        path: childPath(at, "_config"),
        content: { kind: "file", value: utf8("") },
        expiry: { kind: "at", expires: now + 1 },
        refresh: false,
      },
      set(token, "_config/other", "x"),
    ];
    for (const command of refused) {
      await expect(store.write(command), command.kind).rejects.toMatchObject({ code: "readOnly" });
    }
  });

  it("cannot make a size that is none", async () => {
    const { token } = await registry.createToken(3);
    const size = (value: string): WriteCommand => set(token, "_config/size", value);
    await expect(store.write(size("0"))).rejects.toMatchObject({ code: "invalidField" });
    await expect(store.write(size("three"))).rejects.toMatchObject({ code: "invalidField" });
    await expect(store.write(size("+5"))).rejects.toMatchObject({ code: "invalidField" });
    await expect(store.write(size("5"))).resolves.toMatchObject({ action: "set" });
  });
});

describe("Registry: registering", () => {
  it("is idempotent until the token has been complete: the first node again, nothing written", async () => {
    const { token } = await registry.createToken(2);
    const first = await store.write(create(token, "m1", "a=u1"));
    const before = await revision();
    const again = await store.write(create(token, "m1", "a=u1"));
    expect(told(again)).toBe(told(first));
    expect(again.prevNode).toBeUndefined();
    expect(await revision()).toBe(before);
  });

  it("refuses another value for a member that is there", async () => {
    const { token } = await registry.createToken(2);
    await store.write(create(token, "m1", "a=u1"));
    await expect(store.write(create(token, "m1", "b=u2"))).rejects.toMatchObject({ code: "nodeExists" });
  });

  it("refuses a repetition once the token has been complete, also after a member was deleted", async () => {
    const { token } = await registry.createToken(2);
    await store.write(create(token, "m1", "a=u1"));
    await store.write(create(token, "m2", "b=u2"));
    await expect(store.write(create(token, "m1", "a=u1"))).rejects.toMatchObject({ code: "nodeExists" });
    await store.write(remove(token, "m2"));
    await expect(store.write(create(token, "m1", "a=u1"))).rejects.toMatchObject({ code: "nodeExists" });
  });

  it("never repeats _state, which elects", async () => {
    const { token } = await registry.createToken(2);
    await store.write(create(token, "_state", "started"));
    await expect(store.write(create(token, "_state", "started"))).rejects.toMatchObject({ code: "nodeExists" });
  });

  it("marks a token complete when its last members come at once", async () => {
    const { token } = await registry.createToken(8);
    await Promise.all(Array.from({ length: 8 }, (_, n) => store.write(create(token, `m${n}`, `n${n}=u`))));
    await store.write(remove(token, "m0"));
    await expect(store.write(create(token, "m1", "n1=u"))).rejects.toMatchObject({ code: "nodeExists" });
  });
});

describe("Registry: waits at a token", () => {
  it("tell the first registration of each member, in order, from the index on", async () => {
    const { token } = await registry.createToken(3);
    const m1 = await store.write(create(token, "m1", "a=u1"));
    const m2 = await store.write(set(token, "m2", "b=u2"));
    const path = tokenPath(token);
    const from = (waitIndex: number) => store.watch({ path, recursive: true, waitIndex });
    expect(told(await next(await from(m1.index)))).toBe(`create m1=a=u1 @${m1.index}`);
    expect(told(await next(await from(m1.index + 1)))).toBe(`set m2=b=u2 @${m2.index}`);
    const waiting = await from(m2.index + 1);
    const m3 = await store.write(create(token, "m3", "c=u3"));
    expect(told(await next(waiting))).toBe(`create m3=c=u3 @${m3.index}`);
    expect(waiting.index).toBe(m2.index);
  });

  it("stay silent for whatever else happens below the token", async () => {
    const { token } = await registry.createToken(3);
    const m1 = await store.write(create(token, "m1", "a=u1"));
    const waiting = await store.watch({ path: tokenPath(token), recursive: true, waitIndex: m1.index + 1 });
    await store.write(set(token, "m1", "a=heartbeat"));
    await store.write({
      kind: "update",
      path: childPath(tokenPath(token), "m1"),
      content: { kind: "file", value: utf8("x") },
      expiry: NEVER,
      refresh: false,
    });
    await store.write(create(token, "_state", "started"));
    const m2 = await store.write(create(token, "m2", "b=u2"));
    expect(told(await next(waiting))).toBe(`create m2=b=u2 @${m2.index}`);
  });

  it("are answered from the token's state when history is gone", async () => {
    const { token } = await registry.createToken(3);
    const m1 = await store.write(create(token, "m1", "a=u1"));
    await forgetHistory();
    const path = tokenPath(token);
    const members = await store.watch({ path, recursive: true, waitIndex: 1 });
    expect(told(await next(members))).toBe(`create m1=a=u1 @${m1.index}`);
    const own = await store.watch({ path: childPath(path, "m1"), recursive: false, waitIndex: m1.index });
    expect(told(await next(own))).toBe(`create m1=a=u1 @${m1.index}`);
  });

  it("end when a member is taken away, so that nodes that counted it read the list afresh", async () => {
    const { token } = await registry.createToken(4);
    const m1 = await store.write(create(token, "m1", "a=u1"));
    const path = tokenPath(token);
    const waiting = await store.watch({ path, recursive: true, waitIndex: m1.index + 1 });
    await store.write(remove(token, "m1"));
    await expect(next(waiting)).rejects.toThrow("the watch ended");
    const late = await store.watch({ path, recursive: true, waitIndex: m1.index + 1 });
    await expect(next(late)).rejects.toThrow("the watch ended");
    const afresh = await store.watch({ path, recursive: true, waitIndex: (await revision()) + 1 });
    const again = await store.write(create(token, "m1", "a=u1"));
    expect(told(await next(afresh))).toBe(`create m1=a=u1 @${again.index}`);
  });

  it("tell nobody again of a member that they knew, where history does not say that it was away", async () => {
    const { token } = await registry.createToken(4);
    const m1 = await store.write(create(token, "m1", "a=u1"));
    await store.write(remove(token, "m1"));
    await store.write(create(token, "m1", "a=u1"));
    await restart();
    const waiting = await store.watch({ path: tokenPath(token), recursive: true, waitIndex: m1.index + 1 });
    const m2 = await store.write(create(token, "m2", "b=u2"));
    expect(told(await next(waiting))).toBe(`create m2=b=u2 @${m2.index}`);
  });

  it("tell nobody again of a member that they knew, though a directory stood in its place meanwhile", async () => {
    const { token } = await registry.createToken(3);
    const known = (await store.write(create(token, "a", "a=u"))).index;
    const path = childPath(tokenPath(token), "a");
    const operator = registry.storeFor(CLIENT);
    const directory = { kind: "directory" } as const;
    const waiting = await store.watch({ path: tokenPath(token), recursive: true, waitIndex: known + 1 });
    await operator.write({ kind: "set", path, content: directory, expiry: NEVER, refresh: false });
    await operator.write({ kind: "delete", path, directory: true, recursive: true });
    await operator.write(create(token, "a", "a=u"));
    const b = await store.write(create(token, "b", "b=u"));
    expect(told(await next(waiting))).toBe(`create b=b=u @${b.index}`);
  });

  it("tell nobody again of a member that they knew, which went while Muster was down and comes again", async () => {
    const { token } = await registry.createToken(4);
    const m1 = await store.write(create(token, "m1", "a=u1"));
    await store.write(remove(token, "m1"));
    await restart();
    const waiting = await store.watch({ path: tokenPath(token), recursive: true, waitIndex: m1.index + 1 });
    await store.write(create(token, "m1", "a=u1"));
    const m2 = await store.write(create(token, "m2", "b=u2"));
    expect(told(await next(waiting))).toBe(`create m2=b=u2 @${m2.index}`);
  });

  it("tell nobody of a member that has gone again before its turn to be told", async () => {
    const { token } = await registry.createToken(3);
    const from = (await revision()) + 1;
    await store.write(create(token, "a", "a=u"));
    await store.write(remove(token, "a"));
    const watch = await store.watch({ path: tokenPath(token), recursive: true, waitIndex: from });
    await expect(next(watch)).rejects.toThrow("the watch ended");
  });

  it("end when the token goes, so that nodes ask again and are told", async () => {
    const { token } = await registry.createToken(3);
    const waiting = await store.watch({ path: tokenPath(token), recursive: true });
    now += HOUR + 1;
    expect(await registry.sweep()).toBe(1);
    await expect(next(waiting)).rejects.toThrow("the watch ended");
  });

  it("for an entry are answered from the entry when history is gone, and stay open where there is none", async () => {
    const { token } = await registry.createToken(3);
    const m1 = await store.write(set(token, "m1", "a=u1"));
    const renewed = await store.write(set(token, "m1", "a=u2"));
    await forgetHistory();
    const path = childPath(tokenPath(token), "m1");
    const standing = await store.watch({ path, recursive: false, waitIndex: m1.index });
    expect(told(await next(standing))).toBe(`set m1=a=u2 @${renewed.index}`);
    const absent = await store.watch({ path: childPath(tokenPath(token), "m2"), recursive: false, waitIndex: 1 });
    const m2 = await store.write(create(token, "m2", "b=u"));
    expect(told(await next(absent))).toBe(`create m2=b=u @${m2.index}`);
  });

  it("of a token that is none are refused on the public listener", async () => {
    await registry.createToken(1);
    const path = tokenPath("e".repeat(32) as Token);
    await expect(store.watch({ path, recursive: true })).rejects.toMatchObject({ code: "nodeNotFound" });
  });
});

describe("Registry: expiry", () => {
  it("takes a token and its keys away a while after its last registration", async () => {
    const { token } = await registry.createToken(3);
    now += HOUR / 2;
    await store.write(create(token, "m1", "a=u1"));
    now += HOUR / 2 + 1;
    expect(await registry.sweep()).toBe(0);
    expect(await registry.exists(token)).toBe(true);
    now += HOUR / 2;
    expect(await registry.exists(token)).toBe(false);
    await expect(store.get(tokenPath(token), { recursive: false, sorted: false })).rejects.toMatchObject({
      code: "nodeNotFound",
    });
    expect(await registry.sweep()).toBe(1);
    const { count } = await engine.range({ key: utf8("/"), end: null, countOnly: true });
    expect(count).toBe(0);
    const internal = await engine.range({ key: Buffer.from([0]), end: Buffer.from([1]), keysOnly: true });
    const left = internal.kvs.map(({ key }) => text(key)).filter((key) => key.includes(token));
    expect(left).toEqual([]);
  });

  it("leaves a token alone that was made by hand after one of its name was deleted", async () => {
    const { token } = await registry.createToken(3);
    const operator = registry.storeFor(CLIENT);
    const root = parentOf(tokenPath(token));
    await operator.write({ kind: "delete", path: root, directory: true, recursive: true });
    await operator.write(set(token, "_config/size", "3"));
    now += 2 * HOUR;
    expect(await registry.sweep()).toBe(0);
    expect(await registry.exists(token)).toBe(true);
  });

  it("leaves tokens that were made by hand alone", async () => {
    const operator = registry.storeFor(CLIENT);
    const token = "by-hand" as Token;
    await operator.write({
      kind: "set",
      path: sizePath(token),
      content: { kind: "file", value: utf8("3") },
      expiry: NEVER,
      refresh: false,
    });
    expect(await registry.exists(token)).toBe(true);
    await store.write(create(token, "m1", "a=u1"));
    now += 1000 * HOUR;
    expect(await registry.sweep()).toBe(0);
    expect(await registry.exists(token)).toBe(true);
  });
});
