import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../base/bytes.ts";
import { systemClock } from "../../base/clock.ts";
import { MusterError } from "../../base/errors.ts";
import { TOKEN_SWEEP_BATCH, TOKEN_SWEEP_TOLD } from "../../base/limits.ts";
import { createLog, silentLog } from "../../base/log.ts";
import type { Engine } from "../../engine/engine.ts";
import { openLmdbEngine } from "../../engine/lmdb/lmdb-engine.ts";
import type { RangeRequest } from "../../engine/model.ts";
import { Tree } from "../tree/tree.ts";
import { childPath } from "../tree/tree-path.ts";
import type { Origin } from "./origin.ts";
import { Registry } from "./registry.ts";
import { type Token, tokenPath } from "./token.ts";

const HOUR = 3_600_000;
const MANY = 1_000;
const ORIGIN: Origin = {
  protocol: "v2",
  address: "10.0.0.1",
  host: "discovery:8087",
  scope: "public",
  connection: {},
};

let now: number;
let directory: string;
let engine: Engine;
let trees: Tree[];
let registries: Registry[];
let tokensMade: number;
let lines: string[];

beforeEach(async () => {
  now = 1_700_000_000_000;
  directory = await mkdtemp(join(tmpdir(), "muster-sweep-"));
  engine = await openLmdbEngine({ directory, clock: systemClock });
  trees = [];
  registries = [];
  tokensMade = 0;
  lines = [];
});

afterEach(async () => {
  for (const registry of registries) await registry.close();
  for (const tree of trees) await tree.close();
  await engine.close();
  await rm(directory, { recursive: true });
});

async function openRegistry(store: Engine = engine): Promise<Registry> {
  const clock = { now: () => now, monotonic: () => now };
  const tree = await Tree.open({ engine, clock, log: silentLog });
  const log = createLog({ level: "info", format: "json", destination: { write: (line: string) => lines.push(line) } });
  const randomTokenBytes = () => {
    const bytes = Buffer.alloc(12, 1);
    bytes.writeUInt32BE(++tokensMade);
    return bytes;
  };
  const registry = Registry.open({ engine: store, tree, clock, log, tokenTtlMs: HOUR, randomTokenBytes });
  trees.push(tree);
  registries.push(registry);
  return registry;
}

async function makeTokens(registry: Registry, count: number): Promise<readonly Token[]> {
  const made = await Promise.all(Array.from({ length: count }, () => registry.createToken(3)));
  return made.map(({ token }) => token);
}

async function register(registry: Registry, token: Token, id: string): Promise<void> {
  await registry.storeFor(ORIGIN).write({
    kind: "create",
    path: childPath(tokenPath(token), id),
    content: { kind: "file", value: utf8(`${id}=http://10.0.0.1:2380`) },
    expiry: { kind: "never" },
  });
}

async function keysLeft(): Promise<number> {
  const { kvs } = await engine.range({ key: new Uint8Array([0]), end: null, keysOnly: true });
  return kvs.length;
}

function told(message: string): number {
  return lines.filter((line) => line.includes(`"msg":"${message}"`)).length;
}

describe("TokenSweeper", () => {
  it("lets all tokens go that are due, each by a revision of its own, and says so in a few lines", async () => {
    const registry = await openRegistry();
    const [last] = await makeTokens(registry, MANY + 1);
    now += HOUR / 2;
    if (last !== undefined) await register(registry, last, "a");
    const { revision } = await engine.status();
    now += HOUR / 2;
    expect(await registry.sweep()).toBe(MANY);
    // The one that was registered with is put under its later time: a revision too.
    expect((await engine.status()).revision).toBe(revision + MANY + 1);
    expect(told("token expired")).toBe(TOKEN_SWEEP_TOLD);
    expect(lines.at(-1)).toContain(`"tokens":${MANY},"msg":"tokens expired"`);
    expect(last !== undefined && (await registry.exists(last))).toBe(true);
    now += HOUR;
    expect(await registry.sweep()).toBe(1);
    // What is left is the registry's own directories and the last write's action.
    expect(await keysLeft()).toBeLessThan(10);
  });

  it("a few are told one by one", async () => {
    const registry = await openRegistry();
    await makeTokens(registry, 3);
    now += HOUR;
    await registry.sweep();
    expect([told("token expired"), told("tokens expired")]).toEqual([3, 0]);
  });

  it("what fails is told by the sweep, also while the next tokens are still being read", async () => {
    let fails = false;
    const failing = new Proxy(engine, {
      get: (target, name) => {
        if (name === "txn" && fails) return () => Promise.reject(new MusterError("storeUnavailable", "no store"));
        if (name === "range" && fails) {
          return async (request: RangeRequest) => {
            // By then the batch before has failed, and nobody has asked how it went.
            await nextTurn();
            return target.range(request);
          };
        }
        const value: unknown = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const registry = await openRegistry(failing);
    await makeTokens(registry, 2 * TOKEN_SWEEP_BATCH);
    now += HOUR;
    fails = true;
    await expect(registry.sweep()).rejects.toMatchObject({ code: "storeUnavailable" });
    fails = false;
    expect(await registry.sweep()).toBe(2 * TOKEN_SWEEP_BATCH);
  });

  it("several may sweep one store: each token goes once, whichever of them takes it", async () => {
    const registry = await openRegistry();
    await makeTokens(registry, MANY);
    const others = [await openRegistry(), await openRegistry()];
    const { revision } = await engine.status();
    now += HOUR;
    const went = await Promise.all([registry, ...others].map((each) => each.sweep()));
    // The registries' own timers may have taken some.
    expect(went.reduce((sum, each) => sum + each, 0)).toBeLessThanOrEqual(MANY);
    expect((await engine.status()).revision).toBe(revision + MANY);
    expect(await keysLeft()).toBeLessThan(10);
  });

  it("keeps the tokens that are registered with while it sweeps", async () => {
    const registry = await openRegistry();
    const tokens = await makeTokens(registry, 4 * TOKEN_SWEEP_BATCH);
    const kept = tokens.filter((_token, place) => place % 5 === 0);
    now += HOUR - 1;
    const registering = Promise.allSettled(kept.map((token) => register(registry, token, "a")));
    now += 1;
    const gone = await registry.sweep();
    const registered = await registering;
    const survivors = kept.filter((_token, place) => registered[place]?.status === "fulfilled");
    expect(gone).toBe(tokens.length - survivors.length);
    for (const token of survivors) expect(await registry.exists(token)).toBe(true);
  });
});
