/** Holds what a server answered, normalised, against what is expected. */
import { isJsonObject, type Json } from "./json.ts";

const MAX_SHOWN_CHARS = 300;

/** What differs, a line each (`body.node.value: expected "a", got "b"`); none where all is the same. */
export function differences(expected: Json | undefined, actual: Json | undefined, at = ""): string[] {
  if (Array.isArray(expected) && Array.isArray(actual)) {
    return listDifferences(expected, actual, at);
  }
  if (isJsonObject(expected) && isJsonObject(actual)) {
    const names = new Set([...Object.keys(expected), ...Object.keys(actual)]);
    return [...names].flatMap((name) => differences(expected[name], actual[name], at === "" ? name : `${at}.${name}`));
  }
  if (expected === actual || (/(^|\.)ttl$/.test(at) && isCountedDown(expected, actual))) {
    return [];
  }
  return [`${at}: expected ${show(expected)}, got ${show(actual)}`];
}

function listDifferences(expected: readonly Json[], actual: readonly Json[], at: string): string[] {
  const found =
    expected.length === actual.length ? [] : [`${at}: expected ${expected.length} entries, got ${actual.length}`];
  const common = Math.min(expected.length, actual.length);
  for (let position = 0; position < common; position++) {
    found.push(...differences(expected[position], actual[position], `${at}[${position}]`));
  }
  return found;
}

/** A time to live may have lost a second by the time it was read. */
function isCountedDown(expected: Json | undefined, actual: Json | undefined): boolean {
  return typeof expected === "number" && actual === expected - 1;
}

function show(value: Json | undefined): string {
  const text = value === undefined ? "nothing" : JSON.stringify(value);
  return text.length > MAX_SHOWN_CHARS ? `${text.slice(0, MAX_SHOWN_CHARS)}…` : text;
}
