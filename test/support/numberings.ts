import { compareBytes, prefixEnd, startsWith, utf8 } from "../../src/base/bytes.ts";
import type { Engine, Watch } from "../../src/engine/engine.ts";
import type { Event, Revision } from "../../src/engine/model.ts";
import type { Numbering } from "./told-engine.ts";

/** Beyond every revision that there will be. */
const FUTURE = 1_000_000_000;

/** The revisions of an etcd that nobody else writes to: they begin somewhere, and have no gaps. */
export function shifted(base: Revision): Numbering {
  return {
    told: async (revision) => (revision === 0 ? 0 : revision - base + 1),
    asked: async (told) => (told <= 0 ? told : told + base - 1),
  };
}

/**
 * The revisions of one prefix of an etcd that others write to: they are counted by somebody who sees the whole etcd and
 * watches the prefix. To know of all revisions up to one, the counter writes a key of its own and waits to be told of it.
 */
export class Counted implements Numbering, Disposable {
  readonly #root: Engine;
  readonly #prefix: string;
  readonly #watch: Watch;
  readonly #base: Revision;
  readonly #revisions: Revision[] = [];
  #seen: Revision;
  #onSeen: () => void = () => {};
  #fencing: Promise<void> = Promise.resolve();
  #failure: unknown;

  /** `place` holds the prefix, `place + "m"`, and the counter's key. `base`: told as 1. */
  constructor(root: Engine, place: string, base: Revision) {
    this.#root = root;
    this.#prefix = `${place}m`;
    this.#base = base;
    this.#seen = base;
    this.#watch = root.watch({ key: utf8(place), end: prefixEnd(utf8(place)), startRevision: base + 1 });
    void this.#count().catch((error: unknown) => {
      this.#failure = error;
      this.#onSeen();
    });
  }

  /** Resolves when it has begun to count: what is compacted from then on does not matter to it. */
  get stands(): Promise<unknown> {
    return this.#see(this.#base + 1);
  }

  async told(revision: Revision): Promise<Revision> {
    if (revision === 0) return 0;
    await this.#see(revision);
    return 1 + this.#revisions.filter((each) => each <= revision).length;
  }

  async asked(told: Revision): Promise<Revision> {
    if (told <= 0) return told;
    if (told === 1) return this.#base;
    if (this.#revisions[told - 2] === undefined) {
      await this.#see((await this.#root.status()).revision);
    }
    return this.#revisions[told - 2] ?? this.#seen + FUTURE;
  }

  [Symbol.dispose](): void {
    this.#watch.close();
  }

  async #count(): Promise<void> {
    for await (const message of this.#watch) {
      for (const event of message.kind === "events" ? message.events : []) {
        if (this.#isVisible(event) && this.#revisions.at(-1) !== event.kv.modRevision) {
          this.#revisions.push(event.kv.modRevision);
        }
      }
      this.#seen = message.revision;
      this.#onSeen();
    }
  }

  #isVisible({ kv }: Event): boolean {
    const prefix = utf8(this.#prefix);
    return startsWith(kv.key, prefix) && compareBytes(kv.key.subarray(prefix.length), utf8("\0store0")) >= 0;
  }

  /** Waits until everything up to `revision` has been counted. */
  async #see(revision: Revision): Promise<void> {
    this.#fencing = this.#fencing.then(async () => {
      if (this.#seen >= revision) return;
      const key = utf8(`${this.#prefix.slice(0, -1)}z`);
      const put = { kind: "put", request: { key, value: utf8("") } } as const;
      const fence = (await this.#root.txn({ compares: [], success: [put], failure: [] })).revision;
      while (this.#seen < fence) {
        if (this.#failure !== undefined) throw this.#failure;
        await new Promise<void>((resolve) => {
          this.#onSeen = resolve;
        });
      }
    });
    await this.#fencing;
  }
}
