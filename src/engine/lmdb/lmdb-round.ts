/** One round of the writer: one LMDB transaction, what goes into it, and what came of it. */
import type { Draft } from "./lmdb-draft.ts";
import { Group } from "./lmdb-group.ts";
import type { Tables } from "./lmdb-open.ts";
import type { Step, UnderWay } from "./lmdb-work.ts";

/** What goes along with the next LMDB transaction, whoever's it is. */
export interface Aside {
  readonly run: (tables: Tables) => void;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** What is done behind the transactions of a group commit. */
export interface Behind {
  readonly run: (draft: Draft) => void;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class Round {
  readonly group: Group;
  readonly aside: readonly Aside[];
  readonly behind: readonly Behind[];
  readonly underWay: UnderWay | undefined;
  draft: Draft | undefined;
  rollsBack = false;
  isRolledBack = false;
  /** Whether what is done behind the transactions threw. */
  brokeBehind = false;
  #begunBehind = false;

  constructor(
    waiting: readonly Step[],
    { aside, behind }: { readonly aside: readonly Aside[]; readonly behind: readonly Behind[] },
    underWay: UnderWay | undefined,
  ) {
    this.group = new Group(waiting);
    this.aside = aside;
    this.behind = behind;
    this.underWay = underWay;
  }

  /** What did not have its turn. */
  get notBegunBehind(): readonly Behind[] {
    return this.#begunBehind ? [] : this.behind;
  }

  /** A transaction that goes on in the next round stands in the way: what it has done so far is nobody's to build upon. */
  doBehind(draft: Draft): void {
    if (this.group.underWay !== undefined) {
      return;
    }
    this.#begunBehind = true;
    this.brokeBehind = true;
    for (const { run } of this.behind) {
      draft.slice.begin();
      run(draft);
    }
    this.brokeBehind = false;
  }

  tellAll(): void {
    this.group.tellAll();
    for (const { resolve } of [...this.aside, ...(this.#begunBehind ? this.behind : [])]) {
      resolve();
    }
  }
}
