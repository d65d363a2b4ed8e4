/** What clients have done to the tree since the start, counted as etcd 2.3.8 counts it (store/stats.go). */
import { type ErrorCode, isMusterError } from "../../base/errors.ts";
import type {
  GetOptions,
  TreeEvent,
  TreePath,
  TreeReading,
  TreeStore,
  TreeWatch,
  TreeWatchRequest,
  WriteCommand,
} from "./model.ts";

/** The counters by etcd's names and in its order. */
export interface StoreCounts {
  getsSuccess: number;
  getsFail: number;
  setsSuccess: number;
  setsFail: number;
  deleteSuccess: number;
  deleteFail: number;
  updateSuccess: number;
  updateFail: number;
  createSuccess: number;
  createFail: number;
  compareAndSwapSuccess: number;
  compareAndSwapFail: number;
  compareAndDeleteSuccess: number;
  compareAndDeleteFail: number;
  /** Nodes that this process let go because their time was over; a directory counts once, with all that is in it. */
  expireCount: number;
  /** Open watches, long polls among them. */
  watchers: number;
}

type Counter = keyof StoreCounts;

/** Where each command counts; `expire` is no client's. */
const COUNTERS = {
  set: ["setsSuccess", "setsFail"],
  create: ["createSuccess", "createFail"],
  createInOrder: ["createSuccess", "createFail"],
  update: ["updateSuccess", "updateFail"],
  compareAndSwap: ["compareAndSwapSuccess", "compareAndSwapFail"],
  delete: ["deleteSuccess", "deleteFail"],
  compareAndDelete: ["compareAndDeleteSuccess", "compareAndDeleteFail"],
  expire: undefined,
} as const satisfies Record<WriteCommand["kind"], readonly [Counter, Counter] | undefined>;

/** The answers of the tree's rules: what fails otherwise has not reached etcd's store either, and counts nowhere. */
const RULES: ReadonlySet<ErrorCode> = new Set([
  "nodeNotFound",
  "compareFailed",
  "notFile",
  "notDirectory",
  "nodeExists",
  "readOnly",
  "directoryNotEmpty",
]);

/** Refusals that etcd counts as successes: there it returns the error past the variable that its counting looks at. */
const COUNTED_AS_SUCCESS: Partial<Record<WriteCommand["kind"], readonly ErrorCode[]>> = {
  update: ["notFile", "readOnly"],
  compareAndSwap: ["readOnly"],
  delete: ["readOnly"],
  compareAndDelete: ["compareFailed", "notFile", "readOnly"],
};

export class StoreCounters {
  readonly #counts: StoreCounts = {
    getsSuccess: 0,
    getsFail: 0,
    setsSuccess: 0,
    setsFail: 0,
    deleteSuccess: 0,
    deleteFail: 0,
    updateSuccess: 0,
    updateFail: 0,
    createSuccess: 0,
    createFail: 0,
    compareAndSwapSuccess: 0,
    compareAndSwapFail: 0,
    compareAndDeleteSuccess: 0,
    compareAndDeleteFail: 0,
    expireCount: 0,
    watchers: 0,
  };

  get counts(): Readonly<StoreCounts> {
    return this.#counts;
  }

  /** The same store; what clients do by it is counted. */
  counted(store: TreeStore): TreeStore {
    return new CountedStore(store, this);
  }

  count(counter: Counter): void {
    this.#counts[counter]++;
  }

  countWatchEnd(): void {
    this.#counts.watchers--;
  }
}

/** A class, because one is made for every request: its methods are shared, where closures would be made anew. */
class CountedStore implements TreeStore {
  readonly #store: TreeStore;
  readonly #counters: StoreCounters;

  constructor(store: TreeStore, counters: StoreCounters) {
    this.#store = store;
    this.#counters = counters;
  }

  async get(path: TreePath, options: GetOptions): Promise<TreeReading> {
    try {
      const reading = await this.#store.get(path, options);
      this.#counters.count("getsSuccess");
      return reading;
    } catch (error) {
      if (isRefusal(error)) this.#counters.count("getsFail");
      throw error;
    }
  }

  write(command: WriteCommand): Promise<TreeEvent> {
    return this.#store.write(command).then(
      (event) => {
        this.#countWrite(command, 0);
        return event;
      },
      (error: unknown) => {
        if (isRefusal(error)) this.#countRefusal(command, error.code);
        throw error;
      },
    );
  }

  async watch(request: TreeWatchRequest): Promise<TreeWatch> {
    // Counted before it stands, so that whoever asks after it came sees it.
    this.#counters.count("watchers");
    try {
      const watch = await this.#store.watch(request);
      return new CountedWatch(watch, this.#counters);
    } catch (error) {
      this.#counters.countWatchEnd();
      throw error;
    }
  }

  #countRefusal(command: WriteCommand, code: ErrorCode): void {
    const { kind } = command;
    this.#countWrite(command, COUNTED_AS_SUCCESS[kind]?.includes(code) === true ? 0 : 1);
    // A create through a file fails in etcd where its sets fail too, and is counted in both places.
    const creates = kind === "create" || kind === "createInOrder";
    if (creates && code === "notDirectory") this.#counters.count("setsFail");
  }

  #countWrite({ kind }: WriteCommand, place: 0 | 1): void {
    const counter = COUNTERS[kind]?.[place];
    if (counter !== undefined) this.#counters.count(counter);
  }
}

class CountedWatch implements TreeWatch {
  readonly #watch: TreeWatch;
  readonly #counters: StoreCounters;
  #isOpen = true;

  constructor(watch: TreeWatch, counters: StoreCounters) {
    this.#watch = watch;
    this.#counters = counters;
  }

  get index(): number {
    return this.#watch.index;
  }

  get tellFirst(): TreeWatch["tellFirst"] {
    const watch = this.#watch;
    return watch.tellFirst === undefined ? undefined : (listener) => watch.tellFirst?.(listener);
  }

  close(): void {
    if (this.#isOpen) this.#counters.countWatchEnd();
    this.#isOpen = false;
    this.#watch.close();
  }

  [Symbol.asyncIterator](): AsyncIterator<TreeEvent> {
    return this.#watch[Symbol.asyncIterator]();
  }
}

function isRefusal(error: unknown): error is { readonly code: ErrorCode } {
  return isMusterError(error) && RULES.has(error.code);
}
