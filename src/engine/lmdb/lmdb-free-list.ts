/**
 * LMDB's list of free pages. It is empty in a compacted copy, with which a store goes on that was defragmented or restored,
 * and LMDB does not get over that: in the first commit that frees more pages than one page has room to list it reads
 * beyond its memory, of which the process dies. A commit that frees few makes the list's first entry, and from then on
 * there always is one.
 */
import type { Database, RootDatabase } from "lmdb";
import { z } from "zod";
import { PROBE_KEY } from "./lmdb-schema.ts";

/** What lmdb's types leave out. */
const Stats = z.object({ free: z.object({ entryCount: z.number() }) });

export function hasFreeList(root: RootDatabase<Buffer, Buffer>): boolean {
  return Stats.parse(root.getStats()).free.entryCount > 0;
}

/** The list of an LMDB that has none yet. */
export class MissingFreeList {
  readonly #root: RootDatabase<Buffer, Buffer>;
  readonly #meta: Database<Buffer, Buffer>;
  #begun: Promise<void> | undefined;

  constructor(root: RootDatabase<Buffer, Buffer>, meta: Database<Buffer, Buffer>) {
    this.#root = root;
    this.#meta = meta;
  }

  /** To be waited for before anything else is written. Error: lmdb's, where the commit failed. */
  begin(): Promise<void> {
    this.#begun ??= this.#root.childTransaction(() => {
      this.#meta.putSync(PROBE_KEY, Buffer.alloc(1));
    });
    return this.#begun;
  }
}
