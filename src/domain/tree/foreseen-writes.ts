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
import type { Foresight, TreeEvent, TreePath, WriteCommand } from "./model.ts";
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
  readonly compares: Compare[];
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
    if (assumed === undefined) return undefined;
    const { plan, located, compares } = assumed;
    // From here on nothing is awaited before the engine has the write: those that follow build upon it.
    const foreseen = foresight.foresee(eventOf(plan, 0));
    if (foreseen === undefined) return undefined;
    const now = this.#clock.now();
    const success = operationsOf(plan, located, now);
    success.push(...foreseen.operations);
    compares.push(...foreseen.compares);
    let revision: Revision | undefined;
    try {
      const result = await this.#engine.txn({ compares, success, failure: [] });
      revision = result.succeeded ? result.revision : undefined;
    } finally {
      if (revision === undefined) this.#known.forgetAbove(plan.path);
      foreseen.settle(revision);
    }
    if (revision === undefined) return undefined;
    if (foresight.fresh !== undefined) this.#known.learnMade(foresight.fresh, revision);
    const event = eventOf(plan, revision);
    this.#own.note(event, now, foreseen.operations);
    return event;
  }

  /** Nothing of what a fresh name names is there; anything else must be known. */
  #assume(command: CreateFile, { fresh }: Foresight): Assumed | undefined {
    const { path } = command;
    const known = this.#known.above(fresh ?? path);
    if (known === undefined) return undefined;
    const compares = missing(path, fresh);
    for (const { record } of known) if (record !== undefined) compares.push(unchanged(record));
    const located: Located = {
      revision: 0,
      target: { kind: "missing", path },
      ancestors: fresh === undefined ? known : [...known, ...madeFrom(fresh, path)],
    };
    return { plan: planWrite(command, located), located, compares };
  }

  async #look(path: TreePath): Promise<void> {
    this.#known.learn(await readAncestors(this.#engine, path));
  }
}

/** The directories above a path from a name on at which nothing stands yet. */
function madeFrom(fresh: TreePath, path: TreePath): readonly Ancestor[] {
  return ancestorsOf(path)
    .filter((above) => above === fresh || isBelow(above, fresh))
    .map((above) => ({ path: above, record: undefined, expires: undefined }));
}

/** Holds while nothing stands at the path, and no key of v3's lies below it; of a fresh name's it is enough to ask two. */
function missing(path: TreePath, fresh: TreePath | undefined): Compare[] {
  if (fresh !== undefined) return [absent(keyOfPath(path)), absent(directoryKey(fresh))];
  const below: Compare = { ...belowRange("key", path), target: "version", result: "equal", expected: 0 };
  return [absent(keyOfPath(path)), absent(directoryKey(path)), below];
}
