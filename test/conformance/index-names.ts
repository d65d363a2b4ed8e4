/** Names for indices that hold in every run: `S+3` counted from the case's start, or `#2` by rank in a parallel case. */
import { eachObject, type Json } from "./json.ts";

/** How far from the start a number in a text may be and still be taken for an index of this run. */
const NEAR_BEFORE = 50;
const NEAR_AFTER = 5000;

export interface IndexNames {
  /** The name of an index that belongs to a node of the case. */
  own(index: Json): Json;
  /** The name of the store's index (a header, an error's): in a parallel case other cases move it. */
  store(index: Json): Json;
  /** Whether a number within a text is an index of this run rather than one that the case sent. */
  isNear(index: number): boolean;
}

export function serialIndexNames(start: number): IndexNames {
  const name = (index: Json): Json => {
    if (typeof index !== "number" || !Number.isFinite(index) || index === 0) {
      return index;
    }
    const distance = index - start;
    return distance === 0 ? "S" : distance > 0 ? `S+${distance}` : `S${distance}`;
  };
  const isNear = (index: number) => index >= start - NEAR_BEFORE && index <= start + NEAR_AFTER;
  return { own: name, store: name, isNear };
}

/** `bodies`: everything that the case was answered. */
export function parallelIndexNames(bodies: readonly Json[]): IndexNames {
  const seen = new Set<number>();
  eachObject([...bodies], ({ createdIndex, modifiedIndex }) => {
    for (const index of [createdIndex, modifiedIndex]) {
      if (typeof index === "number") {
        seen.add(index);
      }
    }
  });
  const order = [...seen].sort((a, b) => a - b);
  const isIndex = (index: Json): index is number => typeof index === "number" && Number.isFinite(index) && index !== 0;
  return {
    own: (index) => (!isIndex(index) ? index : seen.has(index) ? `#${order.indexOf(index) + 1}` : "<index>"),
    store: (index) => (isIndex(index) ? "<index>" : index),
    // Nothing to count from: such texts stay as they are.
    isNear: () => false,
  };
}
