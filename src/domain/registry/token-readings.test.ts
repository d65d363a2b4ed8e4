import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { text, utf8 } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { isMusterError } from "../../base/errors.ts";
import { TOKEN_READING_BYTES, TOKEN_READINGS_BYTES, TREE_UNTOUCHED_LOOKS } from "../../base/limits.ts";
import { silentLog } from "../../base/log.ts";
import type { Engine } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import type { Operation } from "../../engine/model.ts";
import type { Expiry, TreeNode, TreePath, TreeReading, TreeStore } from "../tree/model.ts";
import { Tree } from "../tree/tree.ts";
import { childPath, parsePath } from "../tree/tree-path.ts";
import type { Origin } from "./origin.ts";
import { Registry } from "./registry.ts";
import { REGISTRY_ROOT, sizePath, type Token, tokenPath } from "./token.ts";
import { TokenReadings } from "./token-readings.ts";
import { readTokenHead } from "./token-state.ts";

const HOUR = 3_600_000;
const GET = { recursive: false, sorted: false };
const NEVER: Expiry = { kind: "never" };
const PUBLIC: Origin = { protocol: "v2", address: "10.0.0.1", host: "discovery:8087", connection: {}, scope: "public" };

let now: number;
let engine: Engine;
let tree: Tree;
let registry: Registry;
let nodes: TreeStore;
let operator: TreeStore;
let tokensMade: number;
/** Stands still, so that no sweeper of tokens or nodes runs unless a test says so. */
const clock: Clock = { now: () => now, monotonic: () => now };

beforeEach(async () => {
  now = 1_700_000_000_000;
  tokensMade = 0;
  engine = openMemoryEngine({ clock });
  await openAll();
});

afterEach(closeAll);

async function openAll(): Promise<void> {
  tree = await Tree.open({ engine, clock, log: silentLog });
  const randomTokenBytes = () => Buffer.alloc(12, ++tokensMade % 256);
  registry = Registry.open({ engine, tree, clock, log: silentLog, tokenTtlMs: HOUR, randomTokenBytes });
  nodes = registry.storeFor(PUBLIC);
  operator = registry.storeFor({ ...PUBLIC, scope: "client" });
}

async function closeAll(): Promise<void> {
  await registry.close();
  await tree.close();
  await engine.close();
}

function put(store: TreeStore, path: TreePath, value: string): Promise<unknown> {
  const content = { kind: "file", value: utf8(value) } as const;
  return store.write({ kind: "set", path, content, expiry: NEVER, refresh: false });
}

function putUntil(expires: number, path: TreePath): Promise<unknown> {
  const content = { kind: "file", value: utf8("v") } as const;
  return operator.write({ kind: "set", path, content, expiry: { kind: "at", expires }, refresh: false });
}

function remove(store: TreeStore, path: TreePath): Promise<unknown> {
  return store.write({ kind: "delete", path, directory: true, recursive: true });
}

function v3(...success: readonly Operation[]): Promise<unknown> {
  return engine.txn({ compares: [], success, failure: [] });
}

function member(token: Token, id: string): TreePath {
  return childPath(tokenPath(token), id);
}

async function made(...ids: readonly string[]): Promise<Token> {
  const { token } = await registry.createToken(3);
  for (const id of ids) await put(nodes, member(token, id), `${id}=u`);
  return token;
}

function shown(node: TreeNode): string {
  const expires = node.expires === undefined ? "" : ` until ${node.expires}`;
  const indices = `${node.createdIndex}/${node.modifiedIndex}${expires}`;
  if (node.kind === "file") return `${node.path}=${text(node.value)} ${indices}`;
  return [`${node.path}/ ${indices}`, ...[...(node.nodes ?? [])].map(shown)].join("\n");
}

/** The ids of the members that are told. */
async function members(token: Token, store = nodes): Promise<string> {
  const { node } = await store.get(tokenPath(token), GET);
  const children = node.kind === "directory" ? [...(node.nodes ?? [])] : [];
  return children.map(({ path }) => path.split("/").at(-1)).join(" ");
}

async function twice(token: Token): Promise<readonly [TreeReading, TreeReading]> {
  return [await nodes.get(tokenPath(token), GET), await nodes.get(tokenPath(token), GET)];
}

describe("TokenReadings", () => {
  it("gives the very same node again while nothing changes, also to operators, with the index of now", async () => {
    const token = await made("a", "b");
    const [first, second] = await twice(token);
    expect(second.node).toBe(first.node);
    await put(operator, parsePath("/elsewhere"), "x");
    await made("other");
    const third = await operator.get(tokenPath(token), GET);
    expect(third.node).toBe(first.node);
    expect(third.index).toBe((await engine.status()).revision);
    expect(third.index).toBeGreaterThan(second.index);
  });

  it("shows what was written below the token as soon as that is answered", async () => {
    const token = await made("a");
    await twice(token);
    for (const id of ["b", "c"]) {
      await put(nodes, member(token, id), "v");
      expect(await members(token)).toContain(id);
    }
    await remove(nodes, member(token, "a"));
    expect(await members(token)).toBe("b c");
    await v3({ kind: "put", request: { key: utf8(member(token, "v3")), value: utf8("x") } });
    expect(await members(token)).toBe("b c v3");
    await v3({ kind: "deleteRange", request: { key: utf8(member(token, "b")), end: utf8(member(token, "d")) } });
    expect(await members(token)).toBe("v3");
  });

  it("lets a member go when its time is over, though nobody has swept it away", async () => {
    const token = await made("a");
    await putUntil(now + 5_000, member(token, "short"));
    await twice(token);
    expect(await members(token)).toBe("a short");
    now += 5_000;
    expect(await members(token)).toBe("a");
    await tree.sweep();
    expect(await members(token)).toBe("a");
    const [first, second] = await twice(token);
    expect(second.node).toBe(first.node);
  });

  it("ends with the token's time, which registrations move on, though nobody has swept it away", async () => {
    const token = await made("a");
    now += HOUR / 2;
    await put(nodes, member(token, "b"), "v");
    await twice(token);
    now += HOUR - 1;
    expect(await members(token)).toBe("a b");
    now += 1;
    await expect(members(token)).rejects.toMatchObject({ code: "nodeNotFound" });
    expect(await members(token, operator)).toBe("a b");
  });

  it("ends with the time of a directory above the token", async () => {
    const token = await made("a");
    await operator.write({
      kind: "update",
      path: REGISTRY_ROOT,
      content: { kind: "file", value: utf8("") },
      expiry: { kind: "at", expires: now + 1_000 },
      refresh: false,
    });
    const [first, second] = await twice(token);
    expect(second.node).toBe(first.node);
    now += 1_000;
    await expect(members(token)).rejects.toMatchObject({ code: "nodeNotFound" });
  });

  it.each([
    ["the token", (token: Token) => tokenPath(token)],
    ["the registry", () => REGISTRY_ROOT],
    ["all above it", () => parsePath("/_etcd")],
    ["its size", (token: Token) => sizePath(token)],
  ])("ends when %s is taken away, and begins anew with a token of the same name", async (_what, path) => {
    const token = await made("a");
    await twice(token);
    await remove(operator, path(token));
    await expect(members(token)).rejects.toMatchObject({ code: "nodeNotFound" });
    await put(operator, sizePath(token), "2");
    await put(nodes, member(token, "new"), "v");
    expect(await members(token)).toContain("new");
    const [first, second] = await twice(token);
    expect(second.node).toBe(first.node);
  });

  it("reads anew after a restart, and after more events than it looks at", async () => {
    const token = await made("a");
    const [first] = await twice(token);
    for (let round = 0; round <= TREE_UNTOUCHED_LOOKS; round++) await put(operator, parsePath("/k"), "v");
    const second = await nodes.get(tokenPath(token), GET);
    expect(second.node).not.toBe(first.node);
    await registry.close();
    await tree.close();
    await openAll();
    const third = await nodes.get(tokenPath(token), GET);
    expect([third.node === second.node, shown(third.node)]).toEqual([false, shown(first.node)]);
  });

  it("does not trust what was written while it read", async () => {
    const token = await made("a");
    const reading = nodes.get(tokenPath(token), GET);
    await put(nodes, member(token, "b"), "v");
    await reading;
    expect(await members(token)).toBe("a b");
  });

  it("keeps nothing very large, and of many only the latest", async () => {
    const token = await made();
    const { revision } = await engine.status();
    const readings = new TokenReadings({ engine, tree, clock });
    const keep = (name: string, size: number) => {
      const node = { kind: "file", path: tokenPath(token), value: new Uint8Array(size), createdIndex: 1 } as const;
      const head = { token: name as Token, revision, record: undefined };
      return readings.keep({ node: { ...node, modifiedIndex: 1 }, index: revision }, head);
    };
    expect(keep("large", TOKEN_READING_BYTES).kept).toBeUndefined();
    expect(await readings.get("large" as Token)).toBeUndefined();
    const size = TOKEN_READING_BYTES / 2;
    const many = TOKEN_READINGS_BYTES / size;
    for (let place = 0; place <= many; place++) keep(`t${place}`, size);
    expect(await readings.get("t0" as Token)).toBeUndefined();
    expect(await readings.get(`t${many}` as Token)).toMatchObject({ kept: true });
  });

  it("whatever happens, what is told is what a new reading tells", async () => {
    const value = fc.constantFrom("1", "2", "x");
    const token = fc.nat(1);
    const id = fc.constantFrom("a", "b", "_h", "_config/size");
    const step = fc.oneof(
      fc.record({ kind: fc.constantFrom("set", "v3", "v3delete", "directory"), token, id, value }),
      fc.record({ kind: fc.constantFrom("ttl"), token, id, value }),
      fc.record({ kind: fc.constantFrom("remove"), token, id }),
      fc.record({ kind: fc.constantFrom("removeToken", "elsewhere", "sweep"), token }),
      fc.record({ kind: fc.constantFrom("removeAll", "second", "hour"), token }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        await closeAll();
        engine = openMemoryEngine({ clock });
        await openAll();
        const tokens = [await made("a"), await made()];
        for (const taken of steps) {
          const at = tokens[taken.token] ?? tokens[0];
          if (at === undefined) throw new Error("no token");
          await doStep({ id: "a", value: "1", ...taken }, at).catch(onlyRefusals);
          for (const each of tokens) expect(await told(each)).toBe(await toldAnew(each));
        }
      }),
      { numRuns: 100 },
    );
  });
});

async function doStep(
  { kind, id, value }: { readonly kind: string; readonly id: string; readonly value: string },
  token: Token,
): Promise<unknown> {
  const path = parsePath(`${tokenPath(token)}/${id}`);
  const key = utf8(path);
  switch (kind) {
    case "set":
      return put(operator, path, value);
    case "ttl":
      return putUntil(now + 2_000, path);
    case "directory":
      return operator.write({ kind: "set", path, content: { kind: "directory" }, expiry: NEVER, refresh: false });
    case "remove":
      return remove(operator, path);
    case "v3":
      return v3({ kind: "put", request: { key, value: utf8(value) } });
    case "v3delete":
      return v3({ kind: "deleteRange", request: { key } });
    case "removeToken":
      return remove(operator, tokenPath(token));
    case "removeAll":
      return remove(operator, REGISTRY_ROOT);
    case "elsewhere":
      return put(operator, parsePath("/k"), value);
    case "sweep":
      return Promise.all([tree.sweep(), registry.sweep()]);
    case "second":
      now += 1_000;
      return undefined;
    case "hour":
      now += HOUR;
      return undefined;
    default:
      return undefined;
  }
}

async function told(token: Token): Promise<string> {
  try {
    const { node, index } = await nodes.get(tokenPath(token), GET);
    return `${shown(node)} @${index}`;
  } catch (error) {
    return refusal(error);
  }
}

async function toldAnew(token: Token): Promise<string> {
  try {
    const { node, index } = await tree.get(tokenPath(token), GET);
    return (await readTokenHead(engine, token, now)).exists ? `${shown(node)} @${index}` : "nodeNotFound";
  } catch (error) {
    return refusal(error);
  }
}

function refusal(error: unknown): string {
  onlyRefusals(error);
  return "nodeNotFound";
}

function onlyRefusals(error: unknown): void {
  if (!isMusterError(error) || error.code === "internal") throw error;
}
