/** How much of LMDB's file the store takes, by what for. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { DiskUse } from "../engine.ts";
import type { Revision } from "../model.ts";
import { DATA_FILE, type Tables } from "./lmdb-open.ts";
import { decodeChangeKey } from "./lmdb-schema.ts";

/** Asked of LMDB's own counters, without reading the tables. `revision` is the store's, `directory` where its file is. */
export async function diskUse(tables: Tables, revision: Revision, directory: string): Promise<DiskUse> {
  const { keys, leases, leaseKeys, meta, revs, past } = tables;
  const [oldest] = revs.getKeys({ limit: 1 });
  const use = {
    liveBytes: bytesOf(keys) + bytesOf(leases) + bytesOf(leaseKeys) + bytesOf(meta),
    historyBytes: bytesOf(revs) + bytesOf(past),
    oldestRevision: oldest === undefined ? revision : decodeChangeKey(oldest).main,
  };
  const { size } = await stat(join(directory, DATA_FILE));
  return { ...use, fileBytes: size };
}

/** All pages of a table; lmdb tells of them in words that its types leave out. */
function bytesOf(table: { getStats(): object }): number {
  const stats = new Map<string, unknown>(Object.entries(table.getStats()));
  const count = (name: string) => Number(stats.get(name) ?? 0);
  return (count("treeBranchPageCount") + count("treeLeafPageCount") + count("overflowPages")) * count("pageSize");
}
