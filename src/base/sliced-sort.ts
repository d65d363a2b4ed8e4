/** Sorting very many things, a slice of the work at a time. */

/** Runs of so many are sorted at once, by the language's own sort. */
const RUN = 1024;
/** A comparison costs so many units of work (a unit is a few µs). */
const UNITS_PER_COMPARISON = 1 / 16;

/** The order of two things: negative, zero or positive. */
export type Order<T> = (a: T, b: T) => number;

/**
 * Sorts things, stably, and yields whenever `isOver` says that a slice is: it is told of work in units of a few µs.
 * Returns them in order; `things` itself may be used up.
 */
export function* sortInSlices<T>(
  things: T[],
  order: Order<T>,
  isOver: (units: number) => boolean,
): Generator<void, T[], void> {
  if (things.length <= RUN) {
    return things.sort(order);
  }
  let sorted: T[] = [];
  for (let start = 0; start < things.length; start += RUN) {
    const run = things.slice(start, start + RUN).sort(order);
    for (const thing of run) {
      sorted.push(thing);
    }
    if (isOver(RUN * UNITS_PER_COMPARISON * Math.log2(RUN))) {
      yield;
    }
  }
  for (let width = RUN; width < sorted.length; width *= 2) {
    sorted = yield* mergeRuns(sorted, { width, order, isOver });
  }
  return sorted;
}

interface Merging<T> {
  /** How long the runs are. */
  readonly width: number;
  readonly order: Order<T>;
  readonly isOver: (units: number) => boolean;
}

/** Makes runs of twice the width. */
function* mergeRuns<T>(from: readonly T[], { width, order, isOver }: Merging<T>): Generator<void, T[], void> {
  const merged: T[] = [];
  for (let start = 0; start < from.length; start += 2 * width) {
    const middle = Math.min(start + width, from.length);
    const end = Math.min(middle + width, from.length);
    let left = start;
    let right = middle;
    while (left < middle || right < end) {
      const takesLeft = right >= end || (left < middle && order(at(from, left), at(from, right)) <= 0);
      merged.push(at(from, takesLeft ? left++ : right++));
      if (isOver(UNITS_PER_COMPARISON)) {
        yield;
      }
    }
  }
  return merged;
}

function at<T>(things: readonly T[], place: number): T {
  // Every place asked for is below the length, so that what stands there is a T, whatever a T is.
  return things[place] as T;
}
