/** What nodes of either protocol share when they boot. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Dice } from "./dice.ts";
import { NoAnswer } from "./http-client.ts";
import type { Target } from "./target.ts";

/** What etcd waits before it asks again is seconds; here less, to see more. */
const RETRY_MS = 300;

/** What a node knows when it begins. */
export interface Bootstrap {
  readonly token: string;
  readonly size: number;
  readonly id: string;
  /** `name=peerURL` */
  readonly value: string;
  /** Of these it asks one at a time, as behind a load balancer. */
  readonly targets: readonly Target[];
  readonly dice: Dice;
  /** Fires when it takes too long. */
  readonly signal: AbortSignal;
}

/** The node dies, as etcd does when its registration is not answered; its supervisor starts it again. */
export class NodeDied extends Error {
  override readonly name = "NodeDied";
}

/** Asks until it is answered with something else than undefined, of one Muster after the other. */
export async function insist<T>(
  { targets, dice, signal }: Pick<Bootstrap, "targets" | "dice" | "signal">,
  ask: (target: Target) => Promise<T | undefined>,
): Promise<T> {
  for (let place = dice.below(targets.length); ; place++) {
    const target = targets[place % targets.length];
    const answer = target === undefined ? undefined : await ask(target);
    if (answer !== undefined) return answer;
    if (signal.aborted) throw new Error("it took too long");
    await sleep(RETRY_MS);
  }
}

/** For a catch: an answer that did not come is none. */
export function nothing(error: unknown): undefined {
  if (error instanceof NoAnswer) return undefined;
  throw error;
}
