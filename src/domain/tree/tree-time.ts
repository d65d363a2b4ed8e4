/** How late it already was in a store: no clock that is right stands before the newest write. */
import type { Engine } from "../../engine/engine.ts";
import { ACTION_KEY } from "./tree-layout.ts";
import { readActionRecord } from "./tree-records.ts";

/**
 * When the newest v2 write was made, in ms since 1970, by its writer's clock; 0 where there is none. Error: `internal`
 * where its record cannot be read.
 */
export async function newestWriteTime(engine: Engine): Promise<number> {
  const { kvs } = await engine.range({ key: ACTION_KEY });
  const [record] = kvs;
  return record === undefined ? 0 : readActionRecord(record).at;
}
