import { READ_SLICE_MS } from "../base/limits.ts";
import { Slice } from "./slice.ts";
import { turns } from "./turns.ts";

/**
 * A loop over what may be very many things: it lets others run whenever it had its slice of the event loop.
 *
 *   const loop = new LongLoop();
 *   for (const thing of things) {
 *     if (loop.isDue()) await loop.pause();
 *     …
 *   }
 */
export class LongLoop {
  readonly #slice: Slice;

  /** `monotonic` tells the time in ms and never jumps. */
  constructor(monotonic: () => number = () => performance.now()) {
    this.#slice = new Slice({ monotonic, ms: READ_SLICE_MS });
    this.#slice.begin();
  }

  /** Whether the loop has to pause before it goes on; asked once for each thing, which may be so many units of work. */
  isDue(units = 1): boolean {
    return this.#slice.isOver(units);
  }

  /** Resolves when it is this loop's turn again. */
  async pause(): Promise<void> {
    await turns.next();
    this.#slice.begin();
  }
}

/** Does work that yields whenever its slice is over, and goes on when it is its turn again. */
export async function inSlices<T>(
  begin: (isOver: (units?: number) => boolean) => Generator<void, T, void>,
): Promise<T> {
  const loop = new LongLoop();
  const work = begin((units) => loop.isDue(units));
  for (let step = work.next(); ; step = work.next()) {
    if (step.done === true) {
      return step.value;
    }
    await loop.pause();
  }
}
