/**
 * Files of which it is known that they have no side record that counts, as those that only v3 wrote: telling of the next
 * write to one need not read it.
 */

import { RecentMap } from "../../base/recent-map.ts";
import { MAX_KNOWN_BARE_FILES } from "../../base/tree-limits.ts";
import type { Event } from "../../engine/model.ts";
import type { TreePath } from "./model.ts";
import { spaceOf } from "./tree-layout.ts";
import { pathOfKey } from "./tree-path.ts";

export class BareFiles {
  readonly #paths = new RecentMap<TreePath, true>(MAX_KNOWN_BARE_FILES);

  isBare(path: TreePath): boolean {
    return this.#paths.get(path) === true;
  }

  /** None was found, at a revision that is not older than any that was passed to `follow`. */
  note(path: TreePath): void {
    this.#paths.set(path, true);
  }

  /**
   * Learns of the files that a revision makes anew, whose older records do not count any more, and forgets those whose
   * record it writes. It must be told of every revision, in order.
   */
  follow(events: readonly Event[]): void {
    for (const { kind, kv } of events) {
      if (kind !== "put" || kv.version !== 1 || kv.key[0] === 0) continue;
      const path = pathOfKey(kv.key);
      if (path !== undefined) this.#paths.set(path, true);
    }
    for (const { kind, kv } of events) {
      const place = kind === "put" && kv.key[0] === 0 ? spaceOf(kv.key) : undefined;
      const path = place?.space === "file" ? pathOfKey(place.pathBytes) : undefined;
      if (path !== undefined) this.#paths.delete(path);
    }
  }
}
