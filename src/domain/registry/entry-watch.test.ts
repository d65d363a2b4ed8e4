/** Waits below a token of nodes that die of a 401: for their own entry, and whatever happens while a wait is begun. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { passTime } from "../../../test/support/pass-time.ts";
import {
  nodeOrigin,
  type Registries,
  type RegistryProcess,
  registration,
  withRegistries,
} from "../../../test/support/several-registries.ts";
import { utf8 } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import { MEMBER_WATCH_RETRY_MS } from "../../base/limits.ts";
import { WAIT_OPENING_ATTEMPTS } from "../../base/store-limits.ts";
import type { Revision } from "../../engine/model.ts";
import type { TreePath, TreeWatch, TreeWatchRequest } from "../tree/model.ts";
import { clearedError } from "../tree/tree-errors.ts";
import { childPath } from "../tree/tree-path.ts";
import { type Token, tokenPath } from "./token.ts";

/** Longer than the tree takes to find out that it has missed changes, and a wait to be begun again. */
const SOON_MS = 5 * MEMBER_WATCH_RETRY_MS;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});

afterEach(() => {
  vi.useRealTimers();
});

interface Stage {
  readonly world: Registries;
  /** The process whose waits are looked at, and another. */
  readonly near: RegistryProcess;
  readonly far: RegistryProcess;
  readonly token: Token;
  /** The store's index when the token was made. */
  readonly index: Revision;
  /** Where the node's own entry is to be. */
  readonly own: TreePath;
}

async function onStage(seed: number, test: (stage: Stage) => Promise<void>): Promise<void> {
  await withRegistries(seed, async (world) => {
    const [near, far] = world.processes;
    if (near === undefined || far === undefined) throw new Error("there are too few processes");
    const { token, index } = await near.registry.createToken(100);
    await test({ world, near, far, token, index, own: childPath(tokenPath(token), "a1") });
  });
}

/** What a wait is told, each as `action value`, and how it ends. */
class Listener {
  readonly told: string[] = [];
  end: unknown;
  readonly watch: TreeWatch;

  constructor(watch: TreeWatch) {
    this.watch = watch;
    const onEnd = (how: unknown) => {
      this.end = how;
    };
    this.#read().then(() => onEnd("ended"), onEnd);
  }

  async #read(): Promise<void> {
    for await (const { action, node } of this.watch) {
      this.told.push(`${action} ${node.kind === "file" ? Buffer.from(node.value) : "-"}`);
    }
  }
}

function watchOf({ near }: Stage, request: TreeWatchRequest): Promise<TreeWatch> {
  return near.registry.storeFor(nodeOrigin("v2")).watch(request);
}

/** The process misses what is done meanwhile: it is compacted while the connection is broken. */
async function missing({ world, near }: Stage, work: () => Promise<unknown>): Promise<void> {
  near.engine.cut();
  await work();
  await world.store.burn();
  await world.store.compact();
  near.engine.mend();
}

function register({ far, token }: Stage): Promise<unknown> {
  return far.registry.storeFor(nodeOrigin("v2")).write(registration(token, "a1"));
}

function overwrite({ far, own }: Stage, value: string): Promise<unknown> {
  const content = { kind: "file", value: utf8(value) } as const;
  return far.tree.write({ kind: "set", path: own, content, expiry: { kind: "never" }, refresh: false });
}

describe("a wait for an entry", () => {
  it("is told of the entry where its registration was missed", async () => {
    await onStage(1, async (stage) => {
      const waits = new Listener(
        await watchOf(stage, { path: stage.own, recursive: false, waitIndex: stage.index + 1 }),
      );
      await missing(stage, () => register(stage));
      await passTime(SOON_MS, () => waits.told.length > 0 || waits.end !== undefined);
      expect({ told: waits.told, end: waits.end }).toEqual({ told: ["create a1=http://a1:2380"], end: undefined });
      waits.watch.close();
    });
  });

  it("waits on where what was missed is not the entry's, and does not hear twice what it was told", async () => {
    await onStage(2, async (stage) => {
      const { own, index } = stage;
      const waits = new Listener(await watchOf(stage, { path: own, recursive: false, waitIndex: index + 1 }));
      const fromNow = new Listener(await watchOf(stage, { path: own, recursive: false }));
      await register(stage);
      await passTime(SOON_MS, () => waits.told.length > 0 && fromNow.told.length > 0);
      await missing(stage, () => stage.world.store.burn());
      await passTime(SOON_MS);
      await overwrite(stage, "new");
      await passTime(SOON_MS, () => waits.told.length > 1 && fromNow.told.length > 1);
      const all = ["create a1=http://a1:2380", "set new"];
      expect([waits, fromNow].map(({ told, end }) => ({ told, end }))).toEqual([
        { told: all, end: undefined },
        { told: all, end: undefined },
      ]);
      waits.watch.close();
      fromNow.watch.close();
    });
  });

  it("lives where changes were missed and then the store is away for long", async () => {
    await onStage(3, async (stage) => {
      const waits = new Listener(
        await watchOf(stage, { path: stage.own, recursive: false, waitIndex: stage.index + 1 }),
      );
      const away = vi
        .spyOn(stage.near.engine, "status")
        .mockRejectedValue(new MusterError("storeUnavailable", "try again: there is no quorum"));
      await missing(stage, () => register(stage));
      await passTime(60_000);
      expect({ told: waits.told, end: waits.end }).toEqual({ told: [], end: undefined });
      away.mockRestore();
      await passTime(SOON_MS, () => waits.told.length > 0);
      expect(waits.told).toEqual(["create a1=http://a1:2380"]);
      waits.watch.close();
    });
  });

  it("ends when it is closed", async () => {
    await onStage(4, async (stage) => {
      const waits = new Listener(await watchOf(stage, { path: stage.own, recursive: false }));
      waits.watch.close();
      await passTime(1);
      expect(waits.end).toBe("ended");
    });
  });
});

describe.each([
  { it: "for an entry", requestOf: ({ own }: Stage) => ({ path: own, recursive: false }) },
  { it: "for members", requestOf: ({ token }: Stage) => ({ path: tokenPath(token), recursive: true }) },
])("a wait $it that changes overtake while it is begun", ({ requestOf }) => {
  /** The tree refuses the next so many waits: what they are about was forgotten since it was read. */
  const overtake = ({ near }: Stage, times: number) => {
    const watch = vi.spyOn(near.tree, "watch");
    for (let time = 0; time < times; time++) watch.mockRejectedValueOnce(clearedError(1, 2, 3));
  };

  it("is told what stands", async () => {
    await onStage(5, async (stage) => {
      await register(stage);
      overtake(stage, WAIT_OPENING_ATTEMPTS);
      const waits = new Listener(await watchOf(stage, { ...requestOf(stage), waitIndex: stage.index + 1 }));
      await passTime(SOON_MS, () => waits.told.length > 0);
      expect(waits.told).toEqual(["create a1=http://a1:2380"]);
      waits.watch.close();
    });
  });

  it("is told only what comes, where it names no index", async () => {
    await onStage(6, async (stage) => {
      await register(stage);
      overtake(stage, 2);
      const watch = await watchOf(stage, requestOf(stage));
      // What stood before cannot be looked up any more.
      await stage.world.store.burn();
      await stage.world.store.compact();
      const waits = new Listener(watch);
      await passTime(SOON_MS);
      expect({ told: waits.told, end: waits.end }).toEqual({ told: [], end: undefined });
      waits.watch.close();
    });
  });

  it("is to come again where that happens without end", async () => {
    await onStage(7, async (stage) => {
      overtake(stage, WAIT_OPENING_ATTEMPTS + 1);
      const opening = watchOf(stage, { ...requestOf(stage), waitIndex: stage.index + 1 });
      await expect(opening).rejects.toMatchObject({ code: "storeUnavailable" });
    });
  });
});
