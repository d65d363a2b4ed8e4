/** HPACK's dynamic table: the fields that came on a connection of late, to be named by number (RFC 7541 section 2.3.2). */
import type { Field } from "./field.ts";

/** A ring begins with so many places, and doubles: most clients repeat a dozen fields. */
const FIRST_PLACES = 16;

/** The newest fields, as many as their sizes allow. To add one and to get one take the same time, however many there are. */
export class HpackDynamicTable {
  /** A ring, of a power of two places. */
  #places: (Field | undefined)[] = new Array<Field | undefined>(FIRST_PLACES).fill(undefined);
  /** Where the next field goes. */
  #next = 0;
  #count = 0;
  #bytes = 0;
  #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The fields' sizes together (RFC 7541 section 4.1) are never beyond this. */
  get maxBytes(): number {
    return this.#maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get count(): number {
    return this.#count;
  }

  /** The field that was added `age` fields ago, 0 being the newest; undefined where it is gone, or never was. */
  at(age: number): Field | undefined {
    if (age >= this.#count) return undefined;
    return this.#places[(this.#next - 1 - age) & (this.#places.length - 1)];
  }

  /** Drops the oldest as far as this one needs room; one that is larger than the table empties it (section 4.4). */
  add(field: Field): void {
    this.#shrink(this.#maxBytes - field.bytes);
    if (field.bytes > this.#maxBytes) return;
    if (this.#count === this.#places.length) this.#grow();
    this.#places[this.#next] = field;
    this.#next = (this.#next + 1) & (this.#places.length - 1);
    this.#count++;
    this.#bytes += field.bytes;
  }

  /** What `add` does for a field larger than the table. */
  clear(): void {
    this.#shrink(0);
  }

  /** A new limit; the oldest fields that are beyond it go (section 4.3). */
  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    this.#shrink(maxBytes);
  }

  #shrink(bytes: number): void {
    while (this.#count > 0 && this.#bytes > bytes) {
      const oldest = (this.#next - this.#count) & (this.#places.length - 1);
      this.#bytes -= this.#places[oldest]?.bytes ?? 0;
      this.#places[oldest] = undefined;
      this.#count--;
    }
  }

  /** Of a ring that is full, so `#next` is where its oldest is. */
  #grow(): void {
    const places = this.#places;
    const older = places.splice(this.#next);
    this.#next = places.length + older.length;
    this.#places = [...older, ...places, ...new Array<undefined>(this.#next).fill(undefined)];
  }
}
