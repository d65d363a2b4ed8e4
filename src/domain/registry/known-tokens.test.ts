import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { text, utf8 } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { isMusterError } from "../../base/errors.ts";
import { silentLog } from "../../base/log.ts";
import type { Engine } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import type { Content, Expiry, TreeStore, WriteCommand } from "../tree/model.ts";
import { Tree } from "../tree/tree.ts";
import { childPath, parsePath } from "../tree/tree-path.ts";
import type { Origin } from "./origin.ts";
import { Registry } from "./registry.ts";
import { readTokenRecord, tokenRecordKey } from "./registry-layout.ts";
import { parseToken, REGISTRY_ROOT, sizePath, type Token, tokenPath } from "./token.ts";

const HOUR = 3_600_000;
const START = 1_700_000_000_000;
const NEVER: Expiry = { kind: "never" };
const IDS = ["a", "b", "c", "d"] as const;

let now: number;
const clock: Clock = { now: () => now, monotonic: () => now };
let closing: (() => Promise<void>)[];

beforeEach(() => {
  now = START;
  closing = [];
  // What is swept is swept by the tests, when they say so.
  vi.useFakeTimers({ toFake: ["setTimeout"] });
});

afterEach(async () => {
  await closeAll();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

async function closeAll(): Promise<void> {
  for (const close of closing.splice(0).reverse()) await close();
}

/** One process on a store. */
interface Process {
  readonly registry: Registry;
  readonly tree: Tree;
  readonly client: TreeStore;
  readonly nodes: TreeStore;
}

interface World {
  readonly engine: Engine;
  readonly processes: readonly Process[];
}

function origin(scope: Origin["scope"]): Origin {
  return { protocol: "v2", address: "10.0.0.1", host: "discovery:8087", connection: {}, scope };
}

/** Two processes on one store; `reads`: they foresee nothing. */
async function openWorld({ reads }: { readonly reads: boolean }): Promise<World> {
  const engine = openMemoryEngine({ clock });
  closing.push(() => engine.close());
  let made = 0;
  const open = async (): Promise<Process> => {
    const tree = await Tree.open({ engine, clock, log: silentLog });
    closing.push(() => tree.close());
    const write = tree.write.bind(tree);
    if (reads) vi.spyOn(tree, "write").mockImplementation((command, rider) => write(command, rider));
    const randomTokenBytes = () => Buffer.alloc(12, ++made);
    const registry = Registry.open({ engine, tree, clock, log: silentLog, tokenTtlMs: HOUR, randomTokenBytes });
    closing.push(() => registry.close());
    return { registry, tree, client: registry.storeFor(origin("client")), nodes: registry.storeFor(origin("public")) };
  };
  return { engine, processes: [await open(), await open()] };
}

async function onePair(): Promise<{ readonly engine: Engine; readonly one: Process; readonly other: Process }> {
  const { engine, processes } = await openWorld({ reads: false });
  const [one, other] = processes;
  if (one === undefined || other === undefined) throw new Error("two processes were to be opened");
  return { engine, one, other };
}

function file(value: string): Content {
  return { kind: "file", value: utf8(value) };
}

function create(token: Token, id: string, value = "v"): WriteCommand {
  return { kind: "create", path: childPath(tokenPath(token), id), content: file(value), expiry: NEVER };
}

function tokenAt(index: number): Token {
  const token = parseToken(Buffer.alloc(12, index).toString("hex"));
  if (token === undefined) throw new Error("that is no token");
  return token;
}

async function recordOf(engine: Engine, token: Token, revision = 0) {
  const { kvs } = await engine.range({ key: tokenRecordKey(token), revision });
  const [kv] = kvs;
  return kv === undefined ? undefined : readTokenRecord(kv.key, kv.value);
}

async function put(engine: Engine, key: string, value: string): Promise<void> {
  const request = { key: utf8(key), value: utf8(value) };
  await engine.txn({ compares: [], success: [{ kind: "put", request }], failure: [] });
}

/** All keys with their revisions: what is the same here is the same for everybody. */
async function dump(engine: Engine): Promise<readonly string[]> {
  const { kvs } = await engine.range({ key: Buffer.from([0]), end: null });
  return kvs.map(
    ({ key, value, createRevision, modRevision, version }) =>
      `${JSON.stringify(text(key))} ${text(value)} ${createRevision} ${modRevision} ${version}`,
  );
}

type Step = readonly [name: (typeof STEPS)[number], process: 0 | 1, token: number, id: (typeof IDS)[number], n: number];

const STEPS = [
  ...["make", "register", "register", "register", "register", "registerForAWhile"],
  ...["set", "remove", "removeToken", "removeRegistry", "resize", "removeSize"],
  ...["giveTokenTime", "giveRegistryTime", "putPast", "putBelow", "deletePast", "wait", "sweep"],
] as const;

const steps = fc.array(
  fc.tuple(
    fc.constantFrom(...STEPS),
    fc.constantFrom(0 as const, 1 as const),
    fc.integer({ min: 1, max: 2 }),
    fc.constantFrom(...IDS),
    fc.integer({ min: 1, max: 3 }),
  ),
  { minLength: 4, maxLength: 40 },
);

function commandOf([name, , index, id, n]: Step): WriteCommand | undefined {
  const token = tokenAt(index);
  const directory = tokenPath(token);
  const path = childPath(directory, id);
  const soon: Expiry = { kind: "at", expires: now + n * 10_000 };
  const whole = { kind: "delete", directory: true, recursive: true } as const;
  switch (name) {
    case "register":
      return create(token, id, `v${n}`);
    case "registerForAWhile":
      return { kind: "create", path, content: file("v"), expiry: soon };
    case "set":
      return { kind: "set", path, content: file(`v${n}`), expiry: NEVER, refresh: false };
    case "remove":
      return { kind: "delete", path, directory: false, recursive: false };
    case "removeToken":
      return { ...whole, path: directory };
    case "removeRegistry":
      return { ...whole, path: REGISTRY_ROOT };
    case "resize":
      return { kind: "set", path: sizePath(token), content: file(String(n)), expiry: NEVER, refresh: false };
    case "removeSize":
      return { kind: "delete", path: sizePath(token), directory: false, recursive: false };
    case "giveTokenTime":
      return { kind: "update", path: directory, content: file(""), expiry: soon, refresh: false };
    case "giveRegistryTime":
      return { kind: "update", path: REGISTRY_ROOT, content: file(""), expiry: soon, refresh: false };
    default:
      return undefined;
  }
}

/** Does a step and says what came of it. */
async function play({ engine, processes }: World, step: Step): Promise<unknown> {
  const [name, which, index, id, n] = step;
  const process = processes[which];
  if (process === undefined) throw new Error("there are two processes");
  const key = `${tokenPath(tokenAt(index))}/${id}`;
  const command = commandOf(step);
  try {
    if (command !== undefined) {
      const store = name === "register" && n > 1 ? process.nodes : process.client;
      return await store.write(command);
    }
    if (name === "make") return await process.registry.createToken(n);
    if (name === "putPast") await put(engine, key, `v${n}`);
    else if (name === "putBelow") await put(engine, `${key}/x`, "");
    else if (name === "deletePast") {
      const request = { key: utf8(key) };
      await engine.txn({ compares: [], success: [{ kind: "deleteRange", request }], failure: [] });
    } else if (name === "sweep") return [await process.tree.sweep(), await process.registry.sweep()];
    return undefined;
  } catch (error) {
    if (isMusterError(error)) return { code: error.code, details: error.details };
    throw error;
  }
}

describe("a registration that builds upon what is known", () => {
  it("does what one does that reads first, whatever two processes, v3 and time did to the token before", async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (program) => {
        now = START;
        const foreseeing = await openWorld({ reads: false });
        const reading = await openWorld({ reads: true });
        try {
          for (const step of program) {
            if (step[0] === "wait") now += step[4] * 12_000;
            expect(await play(foreseeing, step)).toEqual(await play(reading, step));
            expect(await dump(foreseeing.engine)).toEqual(await dump(reading.engine));
          }
        } finally {
          await closeAll();
        }
      }),
      { numRuns: 200 },
    );
  });

  it("reads nothing: not for a token that this process made, and once for all that come to another", async () => {
    const { engine, one, other } = await onePair();
    await one.registry.createToken(3);
    await one.registry.createToken(3);
    const txn = vi.spyOn(engine, "txn");
    const range = vi.spyOn(engine, "range");
    const { token } = await one.registry.createToken(3);
    for (const id of ["a", "b", "c"]) await one.nodes.write(create(token, id));
    expect([txn.mock.calls.length, range.mock.calls.length]).toEqual([4, 0]);
    expect((await recordOf(engine, token))?.complete).toBe(true);

    const { token: large } = await one.registry.createToken(50);
    await other.nodes.write(create(large, "first"));
    txn.mockClear();
    await Promise.all(Array.from({ length: 40 }, (_, n) => other.nodes.write(create(large, `m${n}`))));
    expect(txn.mock.calls.length).toBe(40);
  });

  it("many at once each have a revision, and the last of them makes the token complete", async () => {
    const { engine, one, other } = await onePair();
    for (const stores of [[one.nodes], [one.nodes, other.nodes]]) {
      const { token, index } = await one.registry.createToken(8);
      const writes = Array.from({ length: 8 }, (_, n) => stores[n % stores.length]?.write(create(token, `m${n}`)));
      const events = await Promise.all(writes);
      const indices = events.map((event) => event?.index ?? 0).sort((a, b) => a - b);
      expect(indices).toEqual(Array.from({ length: 8 }, (_, n) => index + 1 + n));
      expect((await recordOf(engine, token, index + 7))?.complete).toBe(false);
      expect((await recordOf(engine, token, index + 8))?.complete).toBe(true);
    }
  });

  it("one id at once from many nodes: one is first, who says the same is told so, all others are refused", async () => {
    const { one, other } = await onePair();
    const { token } = await one.registry.createToken(3);
    const values = ["x", "y", "x", "y", "x", "x"];
    const results = await Promise.allSettled(
      values.map((value, n) => (n % 2 === 0 ? one : other).nodes.write(create(token, "a", value))),
    );
    const { node: stored } = await one.client.get(childPath(tokenPath(token), "a"), {
      recursive: false,
      sorted: false,
    });
    if (stored.kind !== "file") throw new Error("a member is a file");
    for (const [n, result] of results.entries()) {
      const isFirst = values[n] === text(stored.value);
      expect(result.status).toBe(isFirst ? "fulfilled" : "rejected");
      if (result.status === "fulfilled") expect(result.value.node.createdIndex).toBe(stored.createdIndex);
      else expect(isMusterError(result.reason, "nodeExists")).toBe(true);
    }
  });

  it("members come and go at once: complete is what was so at some revision, and no count is too low", async () => {
    const write = fc.tuple(fc.constantFrom("create", "create", "delete"), fc.constantFrom(...IDS), fc.boolean());
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(write, { minLength: 1, maxLength: 6 }), { maxLength: 6 }), async (rounds) => {
        const { engine, one, other } = await onePair();
        try {
          const { token, index } = await one.registry.createToken(3);
          for (const round of rounds) {
            await Promise.allSettled(
              round.map(([kind, id, first]) => {
                const path = childPath(tokenPath(token), id);
                const remove: WriteCommand = { kind: "delete", path, directory: false, recursive: false };
                return (first ? one : other).client.write(kind === "create" ? create(token, id) : remove);
              }),
            );
          }
          await expectRightRecords(engine, token, index);
        } finally {
          await closeAll();
        }
      }),
      { numRuns: 200 },
    );
  });

  it("a token made anew under its name begins without members", async () => {
    const { engine, one, other } = await onePair();
    const { token } = await one.registry.createToken(2);
    await one.nodes.write(create(token, "a"));
    await other.client.write({ kind: "delete", path: parsePath("/_etcd"), directory: true, recursive: true });
    const size: WriteCommand = { kind: "create", path: sizePath(token), content: file("2"), expiry: NEVER };
    await other.client.write(size);
    await one.nodes.write(create(token, "b"));
    expect((await recordOf(engine, token))?.complete).toBe(false);
    await one.nodes.write(create(token, "a"));
    expect((await recordOf(engine, token))?.complete).toBe(true);
  });

  it("counts the members of a token whose record was written before there was a count", async () => {
    const { engine, one, other } = await onePair();
    const { token } = await one.registry.createToken(2);
    await one.nodes.write(create(token, "a"));
    const { members: _, ...old } = (await recordOf(engine, token)) ?? { members: 0 };
    await put(engine, text(tokenRecordKey(token)), JSON.stringify(old));
    await other.nodes.write(create(token, "b"));
    expect((await recordOf(engine, token))?.complete).toBe(true);
  });

  it("tells what the store says when it cannot be written, and goes on when it can", async () => {
    const { engine, one } = await onePair();
    const { token } = await one.registry.createToken(3);
    await one.nodes.write(create(token, "a"));
    vi.spyOn(engine, "txn").mockRejectedValueOnce(new Error("the disk is full"));
    await expect(one.nodes.write(create(token, "b"))).rejects.toThrow("the disk is full");
    await one.nodes.write(create(token, "b"));
    await one.nodes.write(create(token, "c"));
    expect((await recordOf(engine, token))?.complete).toBe(true);
  });
});

async function expectRightRecords(engine: Engine, token: Token, since: number): Promise<void> {
  const { revision: newest } = await engine.status();
  const members = { key: utf8(`${tokenPath(token)}/`), end: utf8(`${tokenPath(token)}/_`) };
  const others = { key: utf8(`${tokenPath(token)}/a`), end: utf8(`${tokenPath(token)}/z`) };
  let wasComplete = false;
  for (let revision = since; revision <= newest; revision++) {
    const low = await engine.range({ ...members, countOnly: true, revision });
    const high = await engine.range({ ...others, countOnly: true, revision });
    const count = low.count + high.count;
    wasComplete ||= count >= 3;
    const record = await recordOf(engine, token, revision);
    expect(record?.complete).toBe(wasComplete);
    if (!wasComplete) expect(record?.members ?? 0).toBeGreaterThanOrEqual(count);
  }
}
