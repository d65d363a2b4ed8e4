/** Durations as Go writes them, because etcd's own options take them so: `168h`, `1h30m`, `1.5s`, `300ms`. */

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

const PART = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;

/**
 * The length of a Go duration in whole ms (rounded, but never down to 0), or undefined where `text` is not one.
 * No unit but for a bare `0`, no sign, as in Go otherwise.
 */
export function parseDuration(text: string): number | undefined {
  if (text === "0") return 0;
  const parts = [...text.matchAll(PART)];
  const matched = parts.reduce((length, part) => length + part[0].length, 0);
  if (parts.length === 0 || matched !== text.length) return undefined;
  const ms = parts.reduce((sum, [, count, unit]) => sum + Number(count) * (UNIT_MS[unit ?? ""] ?? Number.NaN), 0);
  return ms === 0 ? 0 : Math.max(1, Math.round(ms));
}

/** A duration in ms as people write it: `168h`, `1h30m`, `90s` becomes `1m30s`, 0 becomes `0s`. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return ms === 0 ? "0s" : `${ms}ms`;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor((ms % 3_600_000) / 60_000);
  const seconds = (ms % 60_000) / 1_000;
  return [hours > 0 ? `${hours}h` : "", minutes > 0 ? `${minutes}m` : "", seconds > 0 ? `${seconds}s` : ""].join("");
}
