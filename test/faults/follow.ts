/** A client that follows a prefix: after a lost connection it goes on where it was, at another Muster. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Change, Watching } from "./history.ts";
import type { Target } from "./target.ts";
import type { Worker } from "./worker.ts";

const PAUSE_MS = 200;
const KEPT_QUESTIONS = 4;

export interface FollowOptions {
  readonly protocol: "v2" | "v3";
  /** Where it begins. */
  readonly first: Target;
  readonly signal: AbortSignal;
}

/** A client's watch while it lasts. */
export class Following implements Watching {
  readonly client: string;
  readonly prefix: string;
  from = 0;
  readonly changes: Change[] = [];
  broken?: string;
  /** When it was told something last. */
  toldAt = performance.now();
  /** Whom it asked of late for what, and when; for the report. */
  readonly asked: string[] = [];

  constructor(client: string, prefix: string) {
    this.client = client;
    this.prefix = prefix;
  }

  /** The revision up to which it was told. */
  get revision(): number {
    return this.changes.at(-1)?.revision ?? 0;
  }
}

/** Follows until `signal` fires or the server says that it cannot go on. */
export async function follow(
  worker: Worker,
  following: Following,
  { protocol, first, signal }: FollowOptions,
): Promise<void> {
  const { dice, targets, v2, v3 } = worker;
  const { prefix } = following;
  following.from = await beginning(worker, { prefix, signal });
  let next = following.from;
  const take = (change: Change): void => {
    following.changes.push(change);
    following.toldAt = performance.now();
    next = change.revision + 1;
  };
  let target = first;
  while (!signal.aborted) {
    following.asked.splice(0, following.asked.length - KEPT_QUESTIONS);
    following.asked.push(`${target.name} from ${next} on at ${Math.round(performance.now())} ms`);
    try {
      if (protocol === "v3") await v3.watch(target, { prefix, from: next, signal }, take);
      else {
        const change = await v2.next(target, { directory: prefix.replace(/\/$/, ""), from: next, signal });
        if (change !== undefined) {
          take(change);
          continue;
        }
      }
    } catch (error) {
      following.broken = String(error);
      return;
    }
    target = dice.one(targets);
    await sleep(PAUSE_MS);
  }
}

/** The revision after one at which somebody answered. */
async function beginning(
  { v3, dice, targets }: Worker,
  { prefix, signal }: { readonly prefix: string; readonly signal: AbortSignal },
): Promise<number> {
  while (!signal.aborted) {
    const found = await v3.get(dice.one(targets), prefix);
    if (found !== undefined) return found.storeRevision + 1;
    await sleep(PAUSE_MS);
  }
  return 1;
}
