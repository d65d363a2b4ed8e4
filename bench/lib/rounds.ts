/** Measures sides in turn, so that whatever else the machine does meets all of them. */

export interface Side<T> {
  readonly name: string;
  /** One measurement; `round` counts from 0, warm-ups are below 0. */
  measure(round: number): Promise<T>;
}

export interface Rounds {
  readonly warmUps: number;
  readonly rounds: number;
}

/**
 * Runs every side once a round, in turns of the order (whoever comes second may profit or suffer from the first), and
 * gives each side's measurements by round. Those of the warm-ups are thrown away.
 */
export async function alternate<T>(
  sides: readonly Side<T>[],
  { warmUps, rounds }: Rounds,
): Promise<readonly (readonly T[])[]> {
  const results = sides.map((): T[] => []);
  for (let round = -warmUps; round < rounds; round++) {
    const order = [...sides.keys()];
    if (round % 2 !== 0) order.reverse();
    for (const place of order) {
      const measured = await sides[place]?.measure(round);
      if (round >= 0 && measured !== undefined) results[place]?.push(measured);
    }
  }
  return results;
}
