/**
 * Writing to a file again without reading it first: how this process left it, and the directories above it, becomes the
 * write's conditions. Where they do not hold nothing is written, what was known is forgotten, and the caller takes the
 * way that reads.
 */
import type { Bytes } from "../../base/bytes.ts";
import { type Clock, timeOver } from "../../base/clock.ts";
import { MusterError } from "../../base/errors.ts";
import { MAX_TXN_OPERATIONS } from "../../base/limits.ts";
import { RecentMap } from "../../base/recent-map.ts";
import { MAX_KNOWN_FILES } from "../../base/tree-limits.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Compare, OperationResult, Revision } from "../../engine/model.ts";
import type { KnownDirectories } from "./known-directories.ts";
import type { TreeEvent, TreePath, WriteCommand } from "./model.ts";
import type { OwnEvents } from "./own-events.ts";
import { comparesOf, fileAfter, operationsOf, unchanged } from "./tree-changes.ts";
import { eventOf, type Plan, planWrite } from "./tree-plan.ts";
import { type FoundFile, firstExpired, type Located } from "./tree-read.ts";

/** Each directory above is a condition of its own, and so is the file. */
const MAX_ANCESTORS = MAX_TXN_OPERATIONS - 1;

/** The writes that need not know what the file holds. */
type ValueWrite = Extract<WriteCommand, { readonly kind: "set" | "update" }>;

export interface RepeatedWritesOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly directories: KnownDirectories;
  readonly own: OwnEvents;
}

export class RepeatedWrites {
  readonly #options: RepeatedWritesOptions;
  readonly #files = new RecentMap<TreePath, FoundFile>(MAX_KNOWN_FILES);

  constructor(options: RepeatedWritesOptions) {
    this.#options = options;
  }

  /** Keeps how a write left its file, and the directories above it. */
  learn(plan: Plan, { ancestors }: Located, revision: Revision): void {
    this.#keep(plan, revision);
    if (plan.after.kind !== "gone") this.#options.directories.learnAbove(ancestors, revision);
  }

  /** Forgets a file that was written to at an index, where how it stood before is known: another try would be in vain. */
  forgetBefore(path: TreePath, index: Revision): void {
    const known = this.#files.get(path);
    if (known !== undefined && known.modifiedIndex < index) this.#files.delete(path);
  }

  /** Tries a write; undefined where too little is known, or what is known does not hold: then nothing was written. */
  try(command: WriteCommand): Promise<TreeEvent | undefined> | undefined {
    if (!isValueWrite(command)) return undefined;
    const file = this.#files.get(command.path);
    const ancestors = file === undefined ? undefined : this.#options.directories.above(command.path);
    if (file === undefined || ancestors === undefined || ancestors.length > MAX_ANCESTORS) return undefined;
    const located: Located = { revision: 0, target: file, ancestors };
    if (firstExpired(located, timeOver(this.#options.clock)) !== undefined) return undefined;
    return this.#write(planWrite(command, located), located, file);
  }

  async #write(plan: Plan, located: Located, file: FoundFile): Promise<TreeEvent | undefined> {
    const { engine, clock, directories, own } = this.#options;
    const now = clock.now();
    let revision: Revision | undefined;
    try {
      const compares = comparesOf(plan, located);
      addOuterUnchanged(located, compares);
      const result = await engine.txn({ compares, success: operationsOf(plan, located, now), failure: [] });
      if (!result.succeeded) return undefined;
      revision = result.revision;
      this.#keep(plan, revision);
      const event = eventOf(plan, revision, { ...file, value: valueBefore(result.results) });
      own.note(event, now, []);
      return event;
    } finally {
      if (revision === undefined) {
        this.#files.delete(plan.path);
        directories.forgetAbove(plan.path);
      }
    }
  }

  #keep(plan: Plan, revision: Revision): void {
    const file = fileAfter(plan, revision);
    if (file === undefined) this.#files.delete(plan.path);
    else this.#files.set(plan.path, file);
  }
}

function isValueWrite(command: WriteCommand): command is ValueWrite {
  return (command.kind === "set" || command.kind === "update") && !command.refresh && command.content.kind === "file";
}

/** The innermost directory stands for those above it, but not for the times to live that they were given since. */
function addOuterUnchanged({ ancestors }: Located, compares: Compare[]): void {
  for (let place = 0; place < ancestors.length - 1; place++) {
    const record = ancestors[place]?.record;
    if (record !== undefined) compares.push(unchanged(record));
  }
}

/** What the file held before, of which the write asked to be told. */
function valueBefore(results: readonly OperationResult[]): Bytes {
  for (const result of results) {
    if (result.kind === "put" && result.prevKv !== undefined) return result.prevKv.value;
  }
  throw new MusterError("internal", "Report this defect: the engine did not tell what a write replaced");
}
