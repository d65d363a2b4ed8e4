import { expect, it } from "vitest";
import { MAX_UNKNOWN_TOKEN_LINES, UNKNOWN_TOKEN_INTERVAL_MS } from "../../base/limits.ts";
import { createLog } from "../../base/log.ts";
import type { Origin } from "./origin.ts";
import { UnknownTokens } from "./unknown-tokens.ts";

function stage() {
  const lines: string[] = [];
  const log = createLog({ level: "info", format: "json", destination: { write: (line) => lines.push(line) } });
  const time = { ms: 5 };
  const unknown = new UnknownTokens({ clock: { now: () => 0, monotonic: () => time.ms }, log });
  return { lines, time, unknown };
}

function from(address: string): Origin {
  return { protocol: "v2", address, host: "muster:8087", connection: {}, scope: "public" };
}

it("UnknownTokens tells of an address once a minute, with a shortened token", () => {
  const { lines, time, unknown } = stage();
  for (const _ of [1, 2, 3]) unknown.tell("f".repeat(32), from("10.0.0.1"));
  unknown.tell("f".repeat(32), from("10.0.0.2"));
  expect(lines).toHaveLength(2);
  expect(lines[0]).toContain('"address":"10.0.0.1"');
  expect(lines[0]).not.toContain("f".repeat(13));
  time.ms += UNKNOWN_TOKEN_INTERVAL_MS;
  unknown.tell("f".repeat(32), from("10.0.0.1"));
  expect(lines).toHaveLength(3);
});

it("UnknownTokens tells of no more than so many addresses a minute", () => {
  const { lines, unknown } = stage();
  for (let place = 0; place < 2 * MAX_UNKNOWN_TOKEN_LINES; place++)
    unknown.tell("x", from(`10.0.${place >> 8}.${place}`));
  expect(lines).toHaveLength(MAX_UNKNOWN_TOKEN_LINES);
});
