/**
 * Creating a file without reading first: what memory knows of the directories above it, and what the caller foresees,
 * becomes the write's conditions. Where they do not hold nothing is written, what was known is forgotten, and the caller
 * takes the way that reads. Writes go to the engine in the turn in which they are worked out, so several that follow
 * upon each other share a sync of the disk.
 */
import type { Clock } from "../../base/clock.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Compare, Revision } from "../../engine/model.ts";
import type { KnownDirectories } from "./known-directories.ts";
import type { Foreseen, Foresight, TreeEvent, TreePath, WriteCommand } from "./model.ts";
import type { OwnEvents } from "./own-events.ts";
import { operationsOf, unchanged } from "./tree-changes.ts";
import { belowRange, directoryKey } from "./tree-layout.ts";
import { ancestorsOf, isBelow, keyOfPath } from "./tree-path.ts";
import { eventOf, type Plan, planWrite } from "./tree-plan.ts";
import { type Ancestor, absent, type Located, readAncestors } from "./tree-read.ts";

/** The kind of write that can be foreseen: others depend on what stands at their path. */
export type CreateFile = Extract<WriteCommand, { readonly kind: "create" }>;

/** A create under the assumption that nothing stands at its path. */
interface Assumed {
  readonly plan: Plan;
  readonly located: Located;
  readonly compares: readonly Compare[];
}

export interface ForeseenWritesOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly directories: KnownDirectories;
  readonly own: OwnEvents;
}

export class ForeseenWrites {
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #known: KnownDirectories;
  readonly #own: OwnEvents;

  constructor(options: ForeseenWritesOptions) {
    this.#engine = options.engine;
    this.#clock = options.clock;
    this.#known = options.directories;
    this.#own = options.own;
  }

  /** Tries a create; undefined where too little is known, or what is known does not hold: then nothing was written. */
  async create(command: CreateFile, foresight: Foresight): Promise<TreeEvent | undefined> {
    let assumed = this.#assume(command, foresight);
    const preparing = foresight.prepare?.();
    if (assumed === undefined || preparing !== undefined) {
      const looking = assumed === undefined ? this.#look(foresight.fresh ?? command.path) : undefined;
      await Promise.all([looking, preparing]);
      assumed = this.#assume(command, foresight);
    }
    // From here on nothing is awaited before the engine has the write: those that follow build upon it.
    const foreseen = assumed === undefined ? undefined : foresight.foresee(eventOf(assumed.plan, 0));
    return assumed === undefined || foreseen === undefined ? undefined : this.#write(assumed, foreseen, foresight);
  }

  async #write(
    { plan, located, compares }: Assumed,
    foreseen: Foreseen,
    { fresh }: Foresight,
  ): Promise<TreeEvent | undefined> {
    const now = this.#clock.now();
    let revision: Revision | undefined;
    try {
      const result = await this.#engine.txn({
        compares: [...compares, ...foreseen.compares],
        success: [...operationsOf(plan, located, now), ...foreseen.operations],
        failure: [],
      });
      revision = result.succeeded ? result.revision : undefined;
    } finally {
      if (revision === undefined) this.#known.forgetAbove(plan.path);
      foreseen.settle(revision);
    }
    if (revision === undefined) return undefined;
    if (fresh !== undefined) this.#known.learnMade(fresh, revision);
    const event = eventOf(plan, revision);
    this.#own.note(event, now, foreseen.operations);
    return event;
  }

  /** Nothing of what a fresh name names is there; anything else must be known. */
  #assume(command: CreateFile, { fresh }: Foresight): Assumed | undefined {
    const { path } = command;
    const known = this.#known.above(fresh ?? path);
    if (known === undefined) return undefined;
    const made =
      fresh === undefined ? [] : ancestorsOf(path).filter((above) => above === fresh || isBelow(above, fresh));
    const ancestors: readonly Ancestor[] = [
      ...known,
      ...made.map((above) => ({ path: above, record: undefined, expires: undefined })),
    ];
    const located: Located = { revision: 0, target: { kind: "missing", path }, ancestors };
    const standing = known.flatMap(({ record }) => (record === undefined ? [] : [unchanged(record)]));
    return { plan: planWrite(command, located), located, compares: [...missing(path, fresh), ...standing] };
  }

  async #look(path: TreePath): Promise<void> {
    this.#known.learn(await readAncestors(this.#engine, path));
  }
}

/** Holds while nothing stands at the path, and no key of v3's lies below it; of a fresh name's it is enough to ask two. */
function missing(path: TreePath, fresh: TreePath | undefined): readonly Compare[] {
  if (fresh !== undefined) return [absent(keyOfPath(path)), absent(directoryKey(fresh))];
  const below: Compare = { ...belowRange("key", path), target: "version", result: "equal", expected: 0 };
  return [absent(keyOfPath(path)), absent(directoryKey(path)), below];
}
