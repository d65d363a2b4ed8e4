import { expect, test } from "vitest";
import { parseHost } from "./host.ts";

test.each([
  ["localhost", "localhost"],
  ["localhost:8087", "localhost"],
  ["Discovery.Example.COM:80", "discovery.example.com"],
  ["example.com.", "example.com"],
  ["muster_1:8087", "muster_1"],
  ["10.0.0.1:8087", "10.0.0.1"],
  ["[::1]", "::1"],
  ["[FE80::1]:8087", "fe80::1"],
  ["[::ffff:10.0.0.1]:1", "::ffff:10.0.0.1"],
  ["a", "a"],
])("parseHost: %s names %s", (text, name) => {
  expect(parseHost(text)).toEqual({ name, text });
});

test.each([
  undefined,
  "",
  ":8087",
  "a:",
  "a:0",
  "a:65536",
  "a:8o87",
  "a:1:2",
  "::1",
  "[::1",
  "[::1]8087",
  "[10.0.0.1]",
  "[fe80::1%eth0]",
  "user@a",
  "user:pass@a:1",
  "a/b",
  "a?b",
  "a#b",
  "a b",
  "a\\b",
  "a..b",
  "-a",
  ".a",
  "a'b",
  "a$(id)",
  "ä.example",
  "a%41",
  `${"a".repeat(254)}`,
])("parseHost: refuses %j", (text) => {
  expect(parseHost(text)).toBeUndefined();
});
