/** The fault that leaves open what became of writes: a Muster's etcds do what it tells them, and it never hears of it. */
import { setTimeout as sleep } from "node:timers/promises";
import { STORE_DEADLINE_MS } from "../../src/base/store-limits.ts";
import { isOpen } from "./history.ts";
import type { Relay } from "./relay.ts";
import type { StoreMuster } from "./store-muster.ts";
import { LOAD_PREFIX, type Worker } from "./worker.ts";

/**
 * Of so many writes by either protocol at least the outcome is to be unknown; it goes on until it is. Most of them were
 * applied, and most had time left to be sent again.
 */
const ENOUGH_UNKNOWN = 20;
/** But no longer than that, be the machine as busy as it may. */
const MOST_MS = 60_000;
/** Once for so long that calls run into their deadline, */
const LONG_MS = STORE_DEADLINE_MS + 500;
/** then again and again for less than an endpoint's time, so that a call fails when its connection ends. */
const SHORT_MS = 400;
/** And between, all is well: what reads before it writes has to get as far as that. */
const WELL_MS = 600;
/** Writers of either protocol who do nothing else meanwhile. A v2 write reads first, so fewer of them are caught. */
const WRITERS = { v2: 8, v3: 4 } as const;
const PAUSE_MS = 10;

type Protocol = keyof typeof WRITERS;
export const PROTOCOLS = ["v2", "v3"] as const satisfies readonly Protocol[];

/** Loses the answers again and again. Call the result to end it: resolves when enough writes are of unknown outcome. */
export function loseStoreAnswers(muster: StoreMuster, worker: Worker): () => Promise<void> {
  const { relay } = muster;
  if (relay === undefined) throw new Error(`give ${muster.name} a relay: without one no answers of its etcds are lost`);
  const { operations } = worker.recorder;
  const begun = operations.length;
  const until = performance.now() + MOST_MS;
  let isEnding = false;
  let isOver = false;
  const unknown = (protocol: Protocol): number =>
    operations.slice(begun).filter((each) => isOpen(each) && each.client.startsWith(writerOf(protocol))).length;
  const goesOn = (): boolean =>
    !isEnding || (performance.now() < until && PROTOCOLS.some((protocol) => unknown(protocol) < ENOUGH_UNKNOWN));
  const writing = PROTOCOLS.flatMap((protocol) =>
    Array.from({ length: WRITERS[protocol] }, async (_, place): Promise<void> => {
      const writer = { ...worker, name: `${writerOf(protocol)}${place}`, dice: worker.dice.fork() };
      while (!isOver) await write(writer, { muster, protocol });
    }),
  );
  const losing = loseRepeatedly(relay, goesOn).finally(() => {
    isOver = true;
  });
  const all = Promise.all([losing, ...writing]);
  // Whoever ends it is told.
  all.catch(() => undefined);
  return async () => {
    isEnding = true;
    await all;
  };
}

/** How the names of those who write by a protocol while answers are lost begin. */
export function writerOf(protocol: Protocol): string {
  return `unanswered-${protocol}-`;
}

async function loseRepeatedly(relay: Relay, goesOn: () => boolean): Promise<void> {
  for (let lostMs = LONG_MS; goesOn(); lostMs = SHORT_MS) {
    await relay.loseAnswers();
    await sleep(lostMs);
    await relay.breakConnections();
    await sleep(WELL_MS);
  }
}

async function write(
  { name: client, recorder, dice, ...clients }: Worker,
  { muster, protocol }: { readonly muster: StoreMuster; readonly protocol: Protocol },
): Promise<void> {
  const question = { client, muster: muster.name, key: `${LOAD_PREFIX}${client}`, value: recorder.newValue(client) };
  await recorder.write(question, () => clients[protocol].put(muster, question));
  await sleep(dice.below(2 * PAUSE_MS));
}
