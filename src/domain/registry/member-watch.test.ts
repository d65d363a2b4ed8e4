/** Waits at a token of nodes that do not ask again: whatever becomes of the store, they hear of every member, once. */
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { passTime } from "../../../test/support/pass-time.ts";
import {
  nodeOrigin,
  type Registries,
  type RegistryProcess,
  registration,
  withRegistries,
} from "../../../test/support/several-registries.ts";
import type { RemoteEngine } from "../../../test/support/shared-store.ts";
import { utf8 } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import { MEMBER_WATCH_RETRY_MS } from "../../base/limits.ts";
import type { TreePath, TreeWatch } from "../tree/model.ts";
import { childPath } from "../tree/tree-path.ts";
import { type Token, tokenPath } from "./token.ts";

/** Longer than the tree takes to find out that it has missed changes, and a wait to be begun again. */
const SOON_MS = 5 * MEMBER_WATCH_RETRY_MS;
const PROGRAMS = 60;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** What is told to one who waits with a stream at a token, through a process whose store may fail it. */
interface Waiting {
  readonly token: Token;
  /** The process whose wait it is, and another. */
  readonly near: RegistryProcess;
  readonly far: RegistryProcess;
  readonly watch: TreeWatch;
  readonly told: TreePath[];
  /** Called once, when a member has been told and before the next one is asked for. */
  onTold: () => void;
  /** Whether it has ended, and how. */
  end: unknown;
}

async function waiting({ processes }: Registries): Promise<Waiting> {
  const [near, far] = processes;
  if (near === undefined || far === undefined) throw new Error("there are too few processes");
  const { token, index } = await near.registry.createToken(100);
  const watch = await near.registry
    .storeFor(nodeOrigin("v2"))
    .watch({ path: tokenPath(token), recursive: true, waitIndex: index + 1 });
  const waits: Waiting = { token, near, far, watch, told: [], onTold: () => {}, end: undefined };
  const read = async () => {
    for await (const { node } of watch) {
      waits.told.push(node.path);
      const { onTold } = waits;
      waits.onTold = () => {};
      onTold();
    }
  };
  const onEnd = (how: unknown) => {
    waits.end = how;
  };
  read().then(() => onEnd("ended"), onEnd);
  return waits;
}

/** Reads fail, as without a quorum, until they are answered again; or are not answered at all. */
function loseQuorum(engine: RemoteEngine, answer: () => Promise<never> = unavailable) {
  const spies = [vi.spyOn(engine, "status"), vi.spyOn(engine, "range")];
  for (const spy of spies) spy.mockImplementation(answer);
  return {
    asked: () => spies.reduce((sum, { mock }) => sum + mock.calls.length, 0),
    regain: () => {
      for (const spy of spies) spy.mockRestore();
    },
  };
}

function unavailable(): Promise<never> {
  return Promise.reject(new MusterError("storeUnavailable", "try again: there is no quorum"));
}

function register({ far, token }: Waiting, id: string): Promise<unknown> {
  return far.registry.storeFor(nodeOrigin("v2")).write(registration(token, id));
}

/** In one revision, as v3 clients may. */
function registerTogether({ store }: Registries, waits: Waiting, ids: readonly string[]): Promise<unknown> {
  const success = pathsOf(waits, ids).map(
    (path) => ({ kind: "put", request: { key: utf8(path), value: utf8("x=y") } }) as const,
  );
  return store.engine.txn({ compares: [], success, failure: [] });
}

function pathsOf({ token }: Waiting, ids: readonly string[]): readonly TreePath[] {
  return ids.map((id) => childPath(tokenPath(token), id));
}

/** Changes are missed: they were compacted while the connection was broken. */
async function missChanges({ store }: Registries, waits: Waiting, id: string): Promise<void> {
  waits.near.engine.cut();
  await register(waits, id);
  await store.burn();
  await store.compact();
  waits.near.engine.mend();
}

describe("a wait at a token", () => {
  it("lives where changes were missed and then the store is away for long", async () => {
    await withRegistries(1, async (world) => {
      const waits = await waiting(world);
      const quorum = loseQuorum(waits.near.engine);
      await missChanges(world, waits, "a1");
      await passTime(60_000);
      expect(waits.end).toBeUndefined();
      // Each attempt is one question here, and others ask as well.
      expect(quorum.asked()).toBeGreaterThan(30);
      quorum.regain();
      await register(waits, "b2");
      await passTime(SOON_MS, () => waits.told.length >= 2);
      expect(waits.told).toEqual(pathsOf(waits, ["a1", "b2"]));
      waits.watch.close();
    });
  });

  it("lives where the store goes away when a member is about to be told", async () => {
    await withRegistries(2, async (world) => {
      const waits = await waiting(world);
      const quorum = loseQuorum(waits.near.engine);
      await register(waits, "a1");
      await passTime(SOON_MS);
      expect(waits.told).toEqual([]);
      quorum.regain();
      await register(waits, "b2");
      await passTime(SOON_MS, () => waits.told.length >= 2);
      expect(waits.told).toEqual(pathsOf(waits, ["a1", "b2"]));
      waits.watch.close();
    });
  });

  it("lives where the store goes away between two members of one revision, and tells both", async () => {
    await withRegistries(4, async (world) => {
      const waits = await waiting(world);
      let regain = () => {};
      waits.onTold = () => {
        ({ regain } = loseQuorum(waits.near.engine));
      };
      await registerTogether(world, waits, ["a1", "b2"]);
      await passTime(SOON_MS);
      expect(waits.told).toEqual(pathsOf(waits, ["a1"]));
      regain();
      await passTime(SOON_MS, () => waits.told.length >= 2);
      expect(waits.told).toEqual(pathsOf(waits, ["a1", "b2"]));
      waits.watch.close();
    });
  });

  it.each([
    { it: "between two attempts", answer: unavailable },
    { it: "while the store does not answer", answer: () => new Promise<never>(() => undefined) },
  ])("that is closed before it could be begun again ends at once, $it", async ({ answer }) => {
    await withRegistries(3, async (world) => {
      const waits = await waiting(world);
      const quorum = loseQuorum(waits.near.engine);
      await missChanges(world, waits, "a1");
      await passTime(SOON_MS);
      quorum.regain();
      const after = loseQuorum(waits.near.engine, answer);
      await passTime(SOON_MS, () => after.asked() > 0);
      expect(after.asked()).toBeGreaterThan(0);
      waits.watch.close();
      // No time passes.
      await passTime(1);
      expect(waits.end).toBe("ended");
      after.regain();
    });
  });

  it(`tells every member once in ${PROGRAMS} random programs of outages, compactions and registrations`, async () => {
    const step = fc.constantFrom(
      "register",
      "registerTwo",
      "cut",
      "lose",
      "loseOnTold",
      "mend",
      "compact",
      "pass",
      "miss",
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.nat(), async (steps, seed) => {
        await withRegistries(seed, (world) => tellAll(world, steps));
      }),
      { numRuns: PROGRAMS },
    );
  });
});

async function tellAll(world: Registries, steps: readonly string[]): Promise<void> {
  const waits = await waiting(world);
  const { engine } = waits.near;
  const ids: string[] = [];
  const nextId = () => {
    ids.push(`m${String(ids.length).padStart(3, "0")}`);
    return ids.at(-1) ?? "";
  };
  let regain = () => {};
  const mend = () => {
    regain();
    engine.mend();
  };
  const lose = () => {
    regain();
    ({ regain } = loseQuorum(engine));
  };
  const doings: Readonly<Record<string, () => unknown>> = {
    register: () => register(waits, nextId()),
    registerTwo: () => registerTogether(world, waits, [nextId(), nextId()]),
    cut: () => engine.cut(),
    lose,
    loseOnTold: () => {
      waits.onTold = lose;
    },
    mend,
    compact: () => world.store.burn().then(() => world.store.compact()),
    pass: () => passTime(2 * MEMBER_WATCH_RETRY_MS),
    miss: () => missChanges(world, waits, nextId()),
  };
  for (const step of steps) {
    await doings[step]?.();
    await passTime(50 * world.store.chance(4));
  }
  waits.onTold = () => {};
  mend();
  await passTime(2 * SOON_MS, () => waits.told.length >= ids.length);
  await passTime(100);
  expect(waits.told).toEqual(pathsOf(waits, ids));
  expect(waits.end).toBeUndefined();
  waits.watch.close();
}
