/** Looking at the store for longer than a turn of the event loop. */
import type { Bytes } from "../../base/bytes.ts";
import type { Tables } from "./lmdb-open.ts";
import type { Moment } from "./lmdb-snapshot.ts";

/** Whether a slice has taken long enough. */
export type TimeUp = () => boolean;

/** How many units of work are done between two looks at the clock. */
const UNITS_PER_LOOK = 64;
/** Bytes that are as much work as a key: they are copied. */
const BYTES_PER_UNIT = 4096;

/**
 * How work that is done in slices sees the store: a generator that uses a view yields when `isOver` says so, and finds
 * the same moment of the store in it when it goes on. Nothing of LMDB's may be held over a yield.
 */
export interface View {
  readonly tables: Tables;
  readonly moment: Moment;
  /** Notes work that was done, in units of about a key, and answers whether to yield. */
  isOver(units?: number): boolean;
}

/** A view for reads: each slice is given where to look. */
export class ReadView implements View {
  tables: Tables;
  moment: Moment;
  #timeUp: TimeUp = () => false;
  #work = 0;

  constructor(tables: Tables, moment: Moment) {
    this.tables = tables;
    this.moment = moment;
  }

  /** Begins a slice. `moment` shows the same state as the one before it. */
  begin(tables: Tables, moment: Moment, timeUp: TimeUp): void {
    this.tables = tables;
    this.moment = moment;
    this.#timeUp = timeUp;
    this.#work = 0;
  }

  isOver(units = 1): boolean {
    this.#work += units;
    if (this.#work < UNITS_PER_LOOK) {
      return false;
    }
    this.#work = 0;
    return this.#timeUp();
  }
}

/** The work of reading a key with a record of so many bytes. */
export function unitsOf(record: Bytes | undefined): number {
  return 1 + (record?.length ?? 0) / BYTES_PER_UNIT;
}
