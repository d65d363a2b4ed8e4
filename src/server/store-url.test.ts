import { expect, test } from "vitest";
import { parseStoreUrl, withoutPassword } from "./store-url.ts";

test.each([
  ["etcd://10.0.0.1:2379", false, ["10.0.0.1:2379"]],
  ["etcd://h1:1,h2:2,h3:3", false, ["h1:1", "h2:2", "h3:3"]],
  ["etcds://Etcd.Example.com", true, ["etcd.example.com:2379"]],
  ["etcd://[::1],[FE80::1]:99", false, ["[::1]:2379", "[fe80::1]:99"]],
  ["etcd://h1/", false, ["h1:2379"]],
  ["etcd://h1,H1:2379,h2", false, ["h1:2379", "h2:2379"]],
])("parseStoreUrl: %s names its endpoints, each once", (text, isSecure, endpoints) => {
  expect(parseStoreUrl(text)).toEqual({ isSecure, endpoints });
});

test.each([
  "",
  "etcd://",
  "etcd:///",
  "etcd:h1",
  "h1:2379",
  "http://h1:2379",
  "https://h1:2379",
  "ETCD://h1",
  "etcd://h1,",
  "etcd://,h1",
  "etcd://h1, h2",
  "etcd://h1;h2",
  "etcd://h1:0",
  "etcd://h1:65536",
  "etcd://::1:2379",
  "etcd://h1/muster",
  "etcd://h1?x",
  "etcd://user:secret@h1",
  "etcd://h1,etcd://h2",
])("parseStoreUrl: refuses %j", (text) => {
  expect(parseStoreUrl(text)).toBeUndefined();
});

test("withoutPassword: keeps all of a URL but whom it names", () => {
  expect(withoutPassword("etcd://root:sec@ret@h1:2379,h2")).toBe("etcd://…@h1:2379,h2");
  expect(withoutPassword("etcd://h1:2379,h2")).toBe("etcd://h1:2379,h2");
});
