/**
 * What is known of directories without reading them: what a read or a write found there last. It may be out of date at
 * any moment; whoever relies on it lets the write's conditions decide.
 */
import { NO_BYTES } from "../../base/bytes.ts";
import { RecentMap } from "../../base/recent-map.ts";
import { MAX_KNOWN_DIRECTORIES } from "../../base/tree-limits.ts";
import { NO_LEASE, type Revision } from "../../engine/model.ts";
import type { TreePath } from "./model.ts";
import { directoryKey } from "./tree-layout.ts";
import { ancestorsOf } from "./tree-path.ts";
import type { Ancestor } from "./tree-read.ts";

export class KnownDirectories {
  /** Those that have a record and no time to live. */
  readonly #directories = new RecentMap<TreePath, Ancestor>(MAX_KNOWN_DIRECTORIES);

  /** Keeps what was read of directories. One that is not there, or goes some day, is forgotten instead. */
  learn(ancestors: readonly Ancestor[]): void {
    for (const ancestor of ancestors) {
      const { path, record, expires } = ancestor;
      if (record === undefined || expires !== undefined) this.#directories.delete(path);
      // What was read may share its memory with all else that was read with it.
      else this.#directories.set(path, known(path, record.modRevision));
    }
  }

  /** Keeps what a write found, or made at its revision, of the directories above its path. */
  learnAbove(ancestors: readonly Ancestor[], revision: Revision): void {
    for (const ancestor of ancestors) {
      if (ancestor.record === undefined) this.learnMade(ancestor.path, revision);
    }
    this.learn(ancestors.filter(({ record }) => record !== undefined));
  }

  /** Keeps that a write made a directory at a revision. */
  learnMade(path: TreePath, revision: Revision): void {
    this.#directories.set(path, known(path, revision));
  }

  /** All directories above a path, outermost first; undefined where not all of them are known. */
  above(path: TreePath): readonly Ancestor[] | undefined {
    const found: Ancestor[] = [];
    for (const directory of ancestorsOf(path)) {
      const known = this.#directories.get(directory);
      if (known === undefined) return undefined;
      found.push(known);
    }
    return found;
  }

  /** Forgets the directories above a path. */
  forgetAbove(path: TreePath): void {
    for (const directory of ancestorsOf(path)) {
      this.#directories.delete(directory);
    }
  }
}

/** As much as conditions need: which record it is, and when it was written. */
function known(path: TreePath, modRevision: Revision): Ancestor {
  const key = directoryKey(path);
  const record = { key, value: NO_BYTES, createRevision: modRevision, modRevision, version: 1, lease: NO_LEASE };
  return { path, record, expires: undefined };
}
