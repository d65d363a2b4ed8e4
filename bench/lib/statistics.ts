/** What a few rounds say: their median and how far they lie apart. */

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** Median, smallest and largest of at least one value. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const median = (at(sorted, Math.floor(middle)) + at(sorted, Math.ceil(middle))) / 2;
  return { median, least: at(sorted, 0), most: at(sorted, sorted.length - 1) };
}

/** The quotients of two sides, round by round: what a busy minute does to both falls out. */
export function ratios(above: readonly number[], below: readonly number[]): readonly number[] {
  return above.map((value, round) => value / at(below, round));
}

/** What the largest of several values is of the smallest, round by round. */
export function unevenness(sides: readonly (readonly number[])[]): readonly number[] {
  const [first = []] = sides;
  return first.map((_value, round) => {
    const values = sides.map((side) => at(side, round));
    return Math.max(...values) / Math.min(...values);
  });
}

/** Such as `12,300` or `0.823`: three digits that say something, thousands apart. */
export function shown(value: number): string {
  if (Math.abs(value) >= 1000) return Number(value.toPrecision(3)).toLocaleString("en");
  return value.toPrecision(3);
}

/** Such as `12,300 (11,000–13,100)`. */
export function shownSpread({ median, least, most }: Spread): string {
  return `${shown(median)} (${shown(least)}–${shown(most)})`;
}

function at(values: readonly number[], place: number): number {
  const value = values[place];
  if (value === undefined) throw new Error(`measure every round on every side: round ${place} is missing`);
  return value;
}
