/** A steady load on all Musters: each worker asks one request at a time, of any of them. */
import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { Dice } from "./dice.ts";
import { Following, follow } from "./follow.ts";
import { formCluster } from "./forming.ts";
import type { Formation } from "./history.ts";
import { Recorder } from "./recorder.ts";
import { KEPT_FOR_S, lookForShortLived } from "./short-lived.ts";
import type { Target } from "./target.ts";
import { V2Client } from "./v2-client.ts";
import { V3Client } from "./v3-client.ts";
import { LOAD_PREFIX, type Worker } from "./worker.ts";

const REGISTERS = 6;
const COUNTERS = 2;
/** So long all creators want the same key. */
const SLOT_MS = 400;
const PAUSE_MS = 60;

/** How long a cluster may take once no fault is left. */
const FORMING_MS = 150_000;

export class Load implements Disposable {
  readonly recorder = new Recorder();
  readonly formations: Formation[] = [];
  readonly watches: Following[] = [];
  readonly #targets: readonly Target[];
  readonly #dice: Dice;
  readonly #v2: V2Client;
  readonly #v3: V3Client;
  readonly #stopped = new AbortController();
  readonly #overdue = new AbortController();
  readonly #running: Promise<void>[] = [];

  constructor(targets: readonly Target[], dice: Dice) {
    this.#targets = targets;
    this.#dice = dice;
    // Each worker and each node that boots listens to them.
    setMaxListeners(0, this.#stopped.signal, this.#overdue.signal);
    const onOddity = (what: string): void => void this.recorder.oddities.push(what);
    this.#v2 = new V2Client(onOddity);
    this.#v3 = new V3Client(onOddity);
  }

  /** Whoever asks besides does it as one of the workers. */
  worker(name: string): Worker {
    const { recorder } = this;
    return { name, recorder, dice: this.#dice.fork(), targets: this.#targets, v2: this.#v2, v3: this.#v3 };
  }

  start(): void {
    this.#repeat(4, "registers-v2-", registerV2);
    this.#repeat(4, "registers-v3-", registerV3);
    this.#repeat(2, "counters-v2-", countV2);
    this.#repeat(2, "counters-v3-", countV3);
    this.#repeat(2, "firsts-v2-", createV2);
    this.#repeat(2, "firsts-v3-", createV3);
    this.#repeat(2, "queue-", enqueue);
    this.#repeat(2, `kept-${KEPT_FOR_S}s-`, lookForShortLived);
    for (const target of this.#targets) {
      for (const protocol of ["v2", "v3"] as const) {
        const watcher = this.worker(`watch-${protocol}-${target.name}`);
        const following = new Following(watcher.name, `${LOAD_PREFIX}r/`);
        this.watches.push(following);
        this.#running.push(follow(watcher, following, { protocol, first: target, signal: this.#stopped.signal }));
      }
    }
    for (let lane = 0; lane < 3; lane++) this.#running.push(this.#formClusters());
  }

  /** Lets everybody end what they are at; resolves when they have, clusters that form included. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    const timer = setTimeout(() => this.#overdue.abort(), FORMING_MS);
    await Promise.all(this.#running);
    clearTimeout(timer);
  }

  /** Closes the connections of all workers. */
  [Symbol.dispose](): void {
    this.#v2[Symbol.dispose]();
    this.#v3[Symbol.dispose]();
  }

  #repeat(count: number, name: string, step: (worker: Worker) => Promise<void>): void {
    for (let place = 0; place < count; place++) {
      const worker = this.worker(`${name}${place}`);
      const run = async (): Promise<void> => {
        while (!this.#stopped.signal.aborted) {
          await step(worker);
          await sleep(worker.dice.below(2 * PAUSE_MS));
        }
      };
      this.#running.push(run());
    }
  }

  async #formClusters(): Promise<void> {
    const dice = this.#dice.fork();
    while (!this.#stopped.signal.aborted) {
      const options = { targets: this.#targets, dice: dice.fork(), signal: this.#overdue.signal };
      try {
        this.formations.push(await formCluster(options));
      } catch (error) {
        // It has no token; what else went wrong is to be told as well.
        this.recorder.oddities.push(`a cluster could not begin to form: ${error}`);
      }
      await sleep(dice.below(1000));
    }
  }
}

const registerV2 = (worker: Worker) => useRegister(worker, "v2");
const registerV3 = (worker: Worker) => useRegister(worker, "v3");

async function useRegister(worker: Worker, protocol: "v2" | "v3"): Promise<void> {
  const { name: client, recorder, dice, targets } = worker;
  const target = dice.one(targets);
  const question = { client, muster: target.name, key: `${LOAD_PREFIX}r/${dice.below(REGISTERS)}` };
  const store = worker[protocol];
  if (dice.below(2) === 0) {
    await recorder.read(question, () => store.get(target, question.key));
    return;
  }
  const write = { ...question, value: recorder.newValue(client) };
  await recorder.write(write, () => store.put(target, write));
}

const countV2 = (worker: Worker) => count(worker, "v2");
const countV3 = (worker: Worker) => count(worker, "v3");

/** Replaces what it has read, each by its own protocol: of those who read the same, one wins. */
async function count(worker: Worker, protocol: "v2" | "v3"): Promise<void> {
  const { name: client, recorder, dice, targets, v2, v3 } = worker;
  const key = `${LOAD_PREFIX}counters/${dice.below(COUNTERS)}`;
  const reader = dice.one(targets);
  const found = await recorder.read({ client, muster: reader.name, key }, () => worker[protocol].get(reader, key));
  if (found === undefined) return;
  const target = dice.one(targets);
  const replaces = found.modRevision;
  const write = { client, muster: target.name, key, value: recorder.newValue(client), replaces };
  const condition = replaces === 0 ? { prevExist: false } : { prevIndex: replaces };
  await recorder.write(write, () => (protocol === "v3" ? v3.swap(target, write) : v2.put(target, write, condition)));
}

const createV2 = (worker: Worker) => create(worker, "v2");
const createV3 = (worker: Worker) => create(worker, "v3");

/** All who create at a time want the same key. */
async function create({ name: client, recorder, dice, targets, v2, v3 }: Worker, protocol: "v2" | "v3"): Promise<void> {
  const target = dice.one(targets);
  const key = `${LOAD_PREFIX}firsts/${Math.floor(recorder.now() / SLOT_MS)}`;
  const write = { client, muster: target.name, key, value: recorder.newValue(client), replaces: 0 };
  await recorder.write(write, () =>
    protocol === "v3" ? v3.swap(target, write) : v2.put(target, write, { prevExist: false }),
  );
}

async function enqueue({ name: client, recorder, dice, targets, v2 }: Worker): Promise<void> {
  const target = dice.one(targets);
  const write = {
    client,
    muster: target.name,
    key: `${LOAD_PREFIX}queue/`,
    value: recorder.newValue(client),
    replaces: 0,
  };
  await recorder.write(write, () => v2.put(target, { ...write, key: `${LOAD_PREFIX}queue` }, { inOrder: true }));
}
