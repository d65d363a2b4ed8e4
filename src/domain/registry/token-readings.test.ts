import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HOUR_MS, RegistryStage } from "../../../test/support/registry-stage.ts";
import { text, utf8 } from "../../base/bytes.ts";
import { isMusterError } from "../../base/errors.ts";
import { TOKEN_READING_BYTES, TOKEN_READINGS_BYTES } from "../../base/limits.ts";
import { TREE_UNTOUCHED_LOOKS } from "../../base/tree-limits.ts";
import type { Operation } from "../../engine/model.ts";
import type { Expiry, TreeNode, TreePath, TreeReading, TreeStore } from "../tree/model.ts";
import { childPath, parsePath } from "../tree/tree-path.ts";
import { REGISTRY_ROOT, sizePath, type Token, tokenPath } from "./token.ts";
import { TokenReadings } from "./token-readings.ts";
import { readTokenHead } from "./token-state.ts";

const GET = { recursive: false, sorted: false };
const NEVER: Expiry = { kind: "never" };

let stage: RegistryStage;
beforeEach(async () => {
  stage = await RegistryStage.open();
});
afterEach(() => stage.close());

function put(store: TreeStore, path: TreePath, value: string): Promise<unknown> {
  const content = { kind: "file", value: utf8(value) } as const;
  return store.write({ kind: "set", path, content, expiry: NEVER, refresh: false });
}

function putUntil(expires: number, path: TreePath): Promise<unknown> {
  const content = { kind: "file", value: utf8("v") } as const;
  return stage.operator.write({ kind: "set", path, content, expiry: { kind: "at", expires }, refresh: false });
}

function remove(store: TreeStore, path: TreePath): Promise<unknown> {
  return store.write({ kind: "delete", path, directory: true, recursive: true });
}

function v3(...success: readonly Operation[]): Promise<unknown> {
  return stage.engine.txn({ compares: [], success, failure: [] });
}

function member(token: Token, id: string): TreePath {
  return childPath(tokenPath(token), id);
}

async function made(...ids: readonly string[]): Promise<Token> {
  const { token } = await stage.registry.createToken(3);
  for (const id of ids) await put(stage.nodes, member(token, id), `${id}=u`);
  return token;
}

function shown(node: TreeNode): string {
  const expires = node.expires === undefined ? "" : ` until ${node.expires}`;
  const indices = `${node.createdIndex}/${node.modifiedIndex}${expires}`;
  if (node.kind === "file") return `${node.path}=${text(node.value)} ${indices}`;
  return [`${node.path}/ ${indices}`, ...[...(node.nodes ?? [])].map(shown)].join("\n");
}

/** The ids of the members that are told. */
async function members(token: Token, store = stage.nodes): Promise<string> {
  const { node } = await store.get(tokenPath(token), GET);
  const children = node.kind === "directory" ? [...(node.nodes ?? [])] : [];
  return children.map(({ path }) => path.split("/").at(-1)).join(" ");
}

async function twice(token: Token): Promise<readonly [TreeReading, TreeReading]> {
  return [await stage.nodes.get(tokenPath(token), GET), await stage.nodes.get(tokenPath(token), GET)];
}

describe("TokenReadings", () => {
  it("gives the very same node again while nothing changes, also to operators, with the index of now", async () => {
    const token = await made("a", "b");
    const [first, second] = await twice(token);
    expect(second.node).toBe(first.node);
    await put(stage.operator, parsePath("/elsewhere"), "x");
    await made("other");
    const third = await stage.operator.get(tokenPath(token), GET);
    expect(third.node).toBe(first.node);
    expect(third.index).toBe((await stage.engine.status()).revision);
    expect(third.index).toBeGreaterThan(second.index);
  });

  it("shows what was written below the token as soon as that is answered", async () => {
    const token = await made("a");
    await twice(token);
    for (const id of ["b", "c"]) {
      await put(stage.nodes, member(token, id), "v");
      expect(await members(token)).toContain(id);
    }
    await remove(stage.nodes, member(token, "a"));
    expect(await members(token)).toBe("b c");
    await v3({ kind: "put", request: { key: utf8(member(token, "v3")), value: utf8("x") } });
    expect(await members(token)).toBe("b c v3");
    await v3({ kind: "deleteRange", request: { key: utf8(member(token, "b")), end: utf8(member(token, "d")) } });
    expect(await members(token)).toBe("v3");
  });

  it("lets a member go when its time is over, though nobody has swept it away", async () => {
    const token = await made("a");
    await putUntil(stage.now + 5_000, member(token, "short"));
    await twice(token);
    expect(await members(token)).toBe("a short");
    stage.now += 5_000;
    expect(await members(token)).toBe("a");
    await stage.tree.sweep();
    expect(await members(token)).toBe("a");
    const [first, second] = await twice(token);
    expect(second.node).toBe(first.node);
  });

  it("ends with the token's time, which registrations move on, though nobody has swept it away", async () => {
    const token = await made("a");
    stage.now += HOUR_MS / 2;
    await put(stage.nodes, member(token, "b"), "v");
    await twice(token);
    stage.now += HOUR_MS - 1;
    expect(await members(token)).toBe("a b");
    stage.now += 1;
    await expect(members(token)).rejects.toMatchObject({ code: "nodeNotFound" });
    expect(await members(token, stage.operator)).toBe("a b");
  });

  it("ends with the time of a directory above the token", async () => {
    const token = await made("a");
    await stage.operator.write({
      kind: "update",
      path: REGISTRY_ROOT,
      content: { kind: "file", value: utf8("") },
      expiry: { kind: "at", expires: stage.now + 1_000 },
      refresh: false,
    });
    const [first, second] = await twice(token);
    expect(second.node).toBe(first.node);
    stage.now += 1_000;
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
    await remove(stage.operator, path(token));
    await expect(members(token)).rejects.toMatchObject({ code: "nodeNotFound" });
    await put(stage.operator, sizePath(token), "2");
    await put(stage.nodes, member(token, "new"), "v");
    expect(await members(token)).toContain("new");
    const [first, second] = await twice(token);
    expect(second.node).toBe(first.node);
  });

  it("reads anew after a restart, and after more events than it looks at", async () => {
    const token = await made("a");
    const [first] = await twice(token);
    for (let round = 0; round <= TREE_UNTOUCHED_LOOKS; round++) await put(stage.operator, parsePath("/k"), "v");
    const second = await stage.nodes.get(tokenPath(token), GET);
    expect(second.node).not.toBe(first.node);
    await stage.restart();
    const third = await stage.nodes.get(tokenPath(token), GET);
    expect([third.node === second.node, shown(third.node)]).toEqual([false, shown(first.node)]);
  });

  it("does not trust what was written while it read", async () => {
    const token = await made("a");
    const reading = stage.nodes.get(tokenPath(token), GET);
    await put(stage.nodes, member(token, "b"), "v");
    await reading;
    expect(await members(token)).toBe("a b");
  });

  it("keeps nothing very large, and of many only the latest", async () => {
    const token = await made();
    const { revision } = await stage.engine.status();
    const readings = new TokenReadings(stage);
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
        await stage.close();
        stage = await RegistryStage.open();
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
      return put(stage.operator, path, value);
    case "ttl":
      return putUntil(stage.now + 2_000, path);
    case "directory":
      return stage.operator.write({ kind: "set", path, content: { kind: "directory" }, expiry: NEVER, refresh: false });
    case "remove":
      return remove(stage.operator, path);
    case "v3":
      return v3({ kind: "put", request: { key, value: utf8(value) } });
    case "v3delete":
      return v3({ kind: "deleteRange", request: { key } });
    case "removeToken":
      return remove(stage.operator, tokenPath(token));
    case "removeAll":
      return remove(stage.operator, REGISTRY_ROOT);
    case "elsewhere":
      return put(stage.operator, parsePath("/k"), value);
    case "sweep":
      return Promise.all([stage.tree.sweep(), stage.registry.sweep()]);
    case "second":
      stage.now += 1_000;
      return undefined;
    case "hour":
      stage.now += HOUR_MS;
      return undefined;
    default:
      return undefined;
  }
}

async function told(token: Token): Promise<string> {
  try {
    const { node, index } = await stage.nodes.get(tokenPath(token), GET);
    return `${shown(node)} @${index}`;
  } catch (error) {
    return refusal(error);
  }
}

async function toldAnew(token: Token): Promise<string> {
  try {
    const { node, index } = await stage.tree.get(tokenPath(token), GET);
    return (await readTokenHead(stage.engine, token, stage.now)).exists ? `${shown(node)} @${index}` : "nodeNotFound";
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
