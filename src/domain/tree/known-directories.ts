/**
 * What is known of directories without reading them: what a read or a write found there last. It may be out of date at
 * any moment; whoever relies on it lets the write's conditions decide.
 */
import { NO_BYTES } from "../../base/bytes.ts";
import { MAX_KNOWN_DIRECTORIES } from "../../base/limits.ts";
import { RecentMap } from "../../base/recent-map.ts";
import { type KeyValue, NO_LEASE, type Revision } from "../../engine/model.ts";
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
      const stays = ancestor.record !== undefined && ancestor.expires === undefined;
      if (stays) this.#directories.set(ancestor.path, ancestor);
      else this.#directories.delete(ancestor.path);
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
    const record: KeyValue = {
      key: directoryKey(path),
      value: NO_BYTES,
      createRevision: revision,
      modRevision: revision,
      version: 1,
      lease: NO_LEASE,
    };
    this.learn([{ path, record, expires: undefined }]);
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
