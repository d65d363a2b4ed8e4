/**
 * What all watches of a store may keep in memory for readers that are slow. Beyond it those that have kept something for
 * longest give it up and read it from history, when their readers come to it: so that memory is bounded however many
 * watches there are, and a reader that never comes is in nobody's way.
 */

/** A watch that keeps messages for its reader. */
export interface Keeper {
  /** Gives up all that is kept; none of it is lost, as history has it. */
  giveUp(): void;
}

export class WatchBudget {
  readonly #most: number;
  /** Those that keep anything, with how much; first who began first. */
  readonly #kept = new Map<Keeper, number>();
  #bytes = 0;

  constructor(mostBytes: number) {
    this.#most = mostBytes;
  }

  /** What all of them keep, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Makes known that `keeper` keeps so much more; others may have to give theirs up for it. */
  add(keeper: Keeper, bytes: number): void {
    this.#bytes += bytes;
    this.#kept.set(keeper, (this.#kept.get(keeper) ?? 0) + bytes);
    if (this.#bytes <= this.#most) return;
    for (const other of this.#kept.keys()) {
      if (this.#bytes <= this.#most) return;
      // A watch takes what is being read for it, whole: it has a bound of its own.
      if (other === keeper) continue;
      other.giveUp();
      this.release(other);
    }
  }

  /** Makes known that `keeper` handed out so much. */
  remove(keeper: Keeper, bytes: number): void {
    const left = (this.#kept.get(keeper) ?? 0) - bytes;
    this.#bytes -= bytes;
    if (left > 0) this.#kept.set(keeper, left);
    else this.#kept.delete(keeper);
  }

  /** Makes known that `keeper` keeps nothing any more. */
  release(keeper: Keeper): void {
    this.#bytes -= this.#kept.get(keeper) ?? 0;
    this.#kept.delete(keeper);
  }
}
