/** Several processes on one store: clusters form through all of them at once. */
import { describe, expect, it } from "vitest";
import {
  bootstrap,
  nodeOrigin,
  type Registries,
  registration,
  withRegistries,
} from "../../../test/support/several-registries.ts";
import { utf8 } from "../../base/bytes.ts";
import { openKeyspace } from "../keyspace/keyspace.ts";
import type { TreePath } from "../tree/model.ts";
import { childPath } from "../tree/tree-path.ts";
import { parseToken, sizePath, type Token, tokenPath } from "./token.ts";
import { readMemberIds, readTokenHead } from "./token-state.ts";

const IDS = ["a1", "b2", "c3"] as const;
const TOKENS = 100;
/** One call of all processes' in so many brings trouble; it is over when so many have met it. */
const CALLS_PER_TROUBLE = 100;
const CALLS_IN_TROUBLE = 20;

/** All nodes of all tokens boot at once, each token's by one protocol; then all of a token must know the same. */
async function formAll(world: Registries, tokens: readonly Token[]): Promise<void> {
  await Promise.all(
    tokens.map(async (token, place) => {
      const protocol = place % 3 === 2 ? "v3" : "v2";
      const lists = await Promise.all(IDS.map((id) => bootstrap(world, { token, id, protocol })));
      const [first] = lists;
      expect(first?.map(({ id }) => id).sort()).toEqual([...IDS]);
      for (const list of lists) expect(list).toEqual(first);
    }),
  );
}

async function makeTokens(world: Registries, count: number, size: number): Promise<readonly Token[]> {
  const made = Array.from({ length: count }, () => world.pick().registry.createToken(size));
  return (await Promise.all(made)).map(({ token }) => token);
}

/** From now on calls bring trouble: an answer is lost, or a connection broken. Gives how often that was tried. */
function bringTrouble({ store, processes, pick }: Registries): () => number {
  let calls = 0;
  store.onCall = () => {
    const place = ++calls % CALLS_PER_TROUBLE;
    if (place === CALLS_IN_TROUBLE) for (const { engine } of processes) engine.mend();
    if (place !== 0) return;
    const { engine } = pick();
    const mischief = store.chance(4);
    if (mischief === 0) engine.losing.push("applied");
    if (mischief === 1) engine.losing.push("notApplied");
    if (mischief === 2) engine.cut();
  };
  return () => Math.floor(calls / CALLS_PER_TROUBLE);
}

function only(world: Registries) {
  const [a, b, c] = world.processes;
  if (a === undefined || b === undefined || c === undefined) throw new Error("there are too few processes");
  return { a, b, c };
}

describe("several registries on one store", () => {
  it(`${TOKENS} tokens that form at once through three of them give every node the same list`, {
    timeout: 180_000,
  }, async () => {
    await withRegistries(3, async (world) => {
      await formAll(world, await makeTokens(world, TOKENS, IDS.length));
    });
  });

  it("so they do beside a tenant that writes and compacts, while connections break and answers are lost", {
    timeout: 300_000,
  }, async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    await withRegistries(seed, async (world) => {
      const tokens = await makeTokens(world, 30, IDS.length);
      const troubles = bringTrouble(world);
      await world.store.beside(40, async () => {
        try {
          await formAll(world, tokens);
        } catch (error) {
          throw new Error(`with seed ${seed}`, { cause: error });
        }
      });
      expect(troubles(), "calls in trouble").toBeGreaterThan(9);
    });
  });

  it.each(["applied", "notApplied"] as const)(
    "a registration whose answer was lost (%s) may be repeated, anywhere",
    async (lost) => {
      await withRegistries(5, async (world) => {
        const { a, b } = only(world);
        const { token } = await a.registry.createToken(3);
        const node = a.registry.storeFor(nodeOrigin("v2"));
        a.engine.losing.push(lost);
        await expect(node.write(registration(token, "a1"))).rejects.toMatchObject({ code: "outcomeUnknown" });
        const again = await b.registry.storeFor(nodeOrigin("v2")).write(registration(token, "a1"));
        const once = await node.write(registration(token, "a1"));
        expect(once.node).toMatchObject({ createdIndex: again.node.createdIndex });
        const { kvs } = await world.store.engine.range({ key: utf8(childPath(tokenPath(token), "a1")) });
        expect(kvs[0]?.version).toBe(1);
        // By v3 likewise.
        const put = { token, id: "b2", value: utf8("b2=http://b2:2380") };
        a.engine.losing.push(lost);
        await expect(a.registry.register(put, nodeOrigin("v3"))).rejects.toMatchObject({ code: "outcomeUnknown" });
        await b.registry.register(put, nodeOrigin("v3"));
        await a.registry.register(put, nodeOrigin("v3"));
        const stored = await world.store.engine.range({ key: utf8(childPath(tokenPath(token), "b2")) });
        expect(stored.kvs[0]?.version).toBe(1);
      });
    },
  );

  it("the last member, whose lost answer completed the token, is let in when it begins over, anywhere", async () => {
    await withRegistries(6, async (world) => {
      const { a, b } = only(world);
      const { token } = await a.registry.createToken(1);
      a.engine.losing.push("applied");
      const write = a.registry.storeFor(nodeOrigin("v2")).write(registration(token, "a1"));
      await expect(write).rejects.toMatchObject({ code: "outcomeUnknown" });
      const node = b.registry.storeFor(nodeOrigin("v2"));
      await node.get(tokenPath(token), { recursive: false, sorted: false });
      expect((await node.write(registration(token, "a1"))).action).toBe("create");
    });
  });

  it("a wait at a token outlasts a gap: it is told of who registered meanwhile, and of nobody twice", async () => {
    await withRegistries(8, async (world) => {
      const { a, b } = only(world);
      const { token } = await a.registry.createToken(5);
      const at = (process: typeof a) => process.registry.storeFor(nodeOrigin("v2"));
      const own = await at(a).write(registration(token, "a1"));
      const request = { path: tokenPath(token), recursive: true, waitIndex: own.index + 1 };
      const wait = await at(a).watch(request);
      const told = wait[Symbol.asyncIterator]();
      await at(b).write(registration(token, "b2"));
      expect((await told.next()).value?.node.path).toBe(childPath(tokenPath(token), "b2"));
      const next = told.next();
      a.engine.cut();
      await at(b).write(registration(token, "c3"));
      await world.store.burn();
      await world.store.compact();
      a.engine.mend();
      expect((await next).value?.node.path).toBe(childPath(tokenPath(token), "c3"));
      await at(b).write(registration(token, "d4"));
      expect((await told.next()).value?.node.path).toBe(childPath(tokenPath(token), "d4"));
      wait.close();
    });
  });

  it("a token that operators make by hand, through several while nodes come, counts no fewer members than it has", async () => {
    await withRegistries(9, async (world) => {
      for (let round = 0; round < 40; round++) {
        const token = parseToken(`hand-${round}`);
        if (token === undefined) throw new Error("it is no token");
        const operator = () => world.pick().registry.storeFor({ ...nodeOrigin("v2"), scope: "client" });
        const put = (path: TreePath, value: string) => {
          const { registry, engine } = world.pick();
          const keyspace = registry.keyspaceFor({ ...nodeOrigin("v3"), scope: "client" }, openKeyspace(engine));
          const operation = { kind: "put", request: { key: utf8(path), value: utf8(value) } } as const;
          return keyspace.txn({ compares: [], success: [operation], failure: [] });
        };
        // By v3, which guards no directories.
        await Promise.all([
          put(sizePath(token), "4"),
          ...["a1", "b2", "c3"].map((id) => put(childPath(tokenPath(token), id), "x=y")),
        ]);
        const head = await readTokenHead(world.store.engine, token, Date.now());
        const members = await readMemberIds(world.store.engine, token);
        expect(members).toHaveLength(3);
        if (head.exists) expect(head.record?.members ?? 3).toBeGreaterThanOrEqual(3);
        // The fourth makes it complete: nobody's place is given again then.
        await operator().write(registration(token, "d4"));
        await expect(operator().write(registration(token, "a1"))).rejects.toMatchObject({ code: "nodeExists" });
      }
    });
  });
});
