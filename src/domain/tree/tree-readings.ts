/**
 * What was read of late, given again only while it is certain that a new reading would say the same: much is asked for
 * far more often than it changes, and reading it costs more than answering.
 */

import { RecentMap } from "../../base/recent-map.ts";
import { MAX_TREE_READINGS, TREE_READING_BYTES } from "../../base/tree-limits.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Revision } from "../../engine/model.ts";
import type { TreeNode, TreePath, TreeReading } from "./model.ts";

/** What a node in a directory takes beside its path and value, in bytes; roughly, it only has to bound the total. */
const NODE_OVERHEAD_BYTES = 64;

interface KeptReading {
  readonly node: TreeNode;
  /** The store's index at which it last was certain to be what is read. */
  index: Revision;
}

export interface TreeReadingsOptions {
  readonly engine: Engine;
  /** Whether a reading of one index would be the same at another, which the store has just had. */
  readonly isUnchanged: (path: TreePath, span: { readonly after: Revision; readonly until: Revision }) => boolean;
}

export class TreeReadings {
  readonly #options: TreeReadingsOptions;
  readonly #kept = new RecentMap<TreePath, KeptReading>(MAX_TREE_READINGS);

  constructor(options: TreeReadingsOptions) {
    this.#options = options;
  }

  /** A node as it stands, with the store's index of now; undefined where it has to be read. Directories with their children. */
  async get(path: TreePath): Promise<TreeReading | undefined> {
    const kept = this.#kept.get(path);
    if (kept === undefined) return undefined;
    const { revision: index } = await this.#options.engine.status();
    if (!this.#options.isUnchanged(path, { after: kept.index, until: index })) return undefined;
    // Others may have asked meanwhile, and know more.
    kept.index = Math.max(kept.index, index);
    return { node: kept.node, index, kept: true };
  }

  /** Keeps what was read, if it is not very much; the same reading, to be given to whoever asked. */
  keep(reading: TreeReading): TreeReading {
    const { node, index } = reading;
    if (isLarge(node)) return reading;
    this.#kept.set(node.path, { node, index });
    return { ...reading, kept: true };
  }
}

function isLarge(node: TreeNode): boolean {
  if (node.kind === "file") return node.value.length > TREE_READING_BYTES;
  let bytes = 0;
  for (const child of node.nodes ?? []) {
    bytes += NODE_OVERHEAD_BYTES + child.path.length + (child.kind === "file" ? child.value.length : 0);
    if (bytes > TREE_READING_BYTES) return true;
  }
  return false;
}
