/** The module to load into a Muster first (`node --import`), as a URL: see there for what it tells. */
export const WATCHDOG = new URL("loop-watchdog.mjs", import.meta.url).href;

/** Throws when, by what a watched program wrote, something held its event loop too long; the longest hold comes first. */
export function refuseHolds(output: string): void {
  const holds = output.match(/^loop-watchdog: held .*$/gm) ?? [];
  if (holds.length > 0) {
    const heldMs = (hold: string): number => Number(/held (\d+) ms/.exec(hold)?.[1]);
    const longestFirst = [...holds].sort((a, b) => heldMs(b) - heldMs(a));
    throw new Error(`let long operations yield: something held muster's event loop\n${longestFirst.join("\n")}`);
  }
}
