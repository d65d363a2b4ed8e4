/** Several processes on one store, as far as the v2 tree goes. */
import { utf8 } from "../../src/base/bytes.ts";
import type { Expiry, TreeWatch, WriteCommand } from "../../src/domain/tree/model.ts";
import { Tree } from "../../src/domain/tree/tree.ts";
import { parsePath } from "../../src/domain/tree/tree-path.ts";
import { type RemoteEngine, SharedStore } from "./shared-store.ts";
import { type ShownEvent, showEvent } from "./v2-model.ts";

/** When it is at first, in ms since 1970. */
export const START = 1_700_000_000_000;

/** The path that is written last where a watch is gathered. */
export const LAST = "/last";

const PROCESSES = 3;

export interface Process {
  readonly engine: RemoteEngine;
  readonly tree: Tree;
  /** Nodes that it let go. */
  expired: number;
  readonly warnings: string[];
}

export interface World {
  readonly store: SharedStore;
  readonly processes: readonly Process[];
  /** Any of them; any that is not cut off. */
  pick(): Process;
  connected(): Process;
  pass(ms: number): void;
}

export async function withTrees(seed: number, test: (world: World) => Promise<void>): Promise<void> {
  let now = START;
  const clock = { now: () => now, monotonic: () => now };
  const store = new SharedStore({ seed, clock });
  const processes: Process[] = [];
  try {
    for (let count = 0; count < PROCESSES; count++) {
      const engine = store.connect();
      const warnings: string[] = [];
      const counts = { expired: 0 };
      const onExpired = () => {
        counts.expired++;
      };
      const log = { warn: (_fields: object, message: string) => void warnings.push(message) };
      const tree = await Tree.open({ engine, clock, log, onExpired });
      processes.push(
        Object.defineProperty({ engine, tree, warnings, expired: 0 }, "expired", { get: () => counts.expired }),
      );
    }
    const pick = () => {
      const process = processes[store.chance(PROCESSES)];
      if (process === undefined) throw new Error("there is no such process");
      return process;
    };
    const connected = () => {
      const [first = pick(), ...others] = processes.filter(({ engine }) => !engine.isCut);
      return others[store.chance(others.length + 1)] ?? first;
    };
    const pass = (ms: number) => {
      now += ms;
    };
    await test({ store, processes, pick, connected, pass });
  } finally {
    for (const { engine, tree } of processes) {
      engine.mend();
      await tree.close();
    }
    await store.engine.close();
  }
}

/** What the other tenant and the network do between two commands. */
export type Trouble = "nothing" | "burn" | "compact" | "cut" | "mend";

export interface Step {
  readonly command: WriteCommand;
  readonly trouble: Trouble;
}

export async function make(trouble: Trouble, { store, pick, processes }: World): Promise<void> {
  if (trouble === "burn") await store.burn();
  if (trouble === "compact") await store.compact();
  if (trouble === "cut" && processes.filter(({ engine }) => !engine.isCut).length > 1) pick().engine.cut();
  if (trouble === "mend") for (const { engine } of processes) engine.mend();
}

/** Gathers what a watch tells until LAST has come, or the watch ends; then why. */
export async function gather(watch: TreeWatch): Promise<{ events: ShownEvent[]; ended: unknown }> {
  const events: ShownEvent[] = [];
  let ended: unknown;
  try {
    for await (const event of watch) {
      if (event.node.path === LAST) break;
      events.push(showEvent(event));
    }
  } catch (error) {
    ended = error;
  }
  watch.close();
  return { events, ended };
}

export const PLAIN = { recursive: false, sorted: false } as const;
export const FILE = { kind: "file", value: utf8("x") } as const;

export function file(path: string, expires?: number): WriteCommand {
  const expiry: Expiry = expires === undefined ? { kind: "never" } : { kind: "at", expires };
  return { kind: "set", path: parsePath(path), content: FILE, expiry, refresh: false };
}
