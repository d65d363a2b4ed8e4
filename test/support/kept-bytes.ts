/** How much memory somebody still holds: without a collection it is luck how much garbage is counted. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** The heap and what buffers take, in bytes, after a collection. */
export function keptBytes(): number {
  setFlagsFromString("--expose-gc");
  // The second one ends the sweep that the first one began.
  runInNewContext("gc(); gc()");
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
