/** How long a client is ready to wait, as it says so in `grpc-timeout`. */

const UNIT_MS: Readonly<Record<string, number>> = {
  n: 1e-6,
  u: 1e-3,
  m: 1,
  S: 1_000,
  M: 60_000,
  H: 3_600_000,
};

/** The longest time that setTimeout can wait, in ms: 24 days, by when a call that waits longer has been cut off otherwise. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/**
 * The time in ms of a header such as `100m`, `5S` or `1H`, at most LONGEST_TIMEOUT_MS; undefined for what is no such
 * header (at most 8 digits and a unit).
 */
export function parseTimeout(header: string): number | undefined {
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(header) ?? [];
  const unitMs = UNIT_MS[unit ?? ""];
  return digits === undefined || unitMs === undefined
    ? undefined
    : Math.min(Number(digits) * unitMs, LONGEST_TIMEOUT_MS);
}
