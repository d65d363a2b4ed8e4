import { describe, expect, it } from "vitest";
import { RecentMap } from "./recent-map.ts";

describe("RecentMap", () => {
  it("keeps the last half of its capacity, and never more than all of it", () => {
    const map = new RecentMap<number, number>(10);
    for (let key = 0; key < 100; key++) {
      map.set(key, key);
      expect(map.size).toBeLessThanOrEqual(10);
      for (let last = Math.max(0, key - 4); last <= key; last++) expect(map.has(last)).toBe(true);
    }
    expect(map.has(80)).toBe(false);
  });

  it("keeps what is used, however much else comes", () => {
    const map = new RecentMap<string, number>(8);
    map.set("used", 1);
    for (let n = 0; n < 100; n++) {
      map.set(`other${n}`, n);
      expect(map.get("used")).toBe(1);
    }
  });

  it("deletes an entry wherever it is, and the newest value counts", () => {
    const map = new RecentMap<string, number>(4);
    map.set("a", 1);
    map.set("b", 1);
    map.set("a", 2);
    expect(map.get("a")).toBe(2);
    map.delete("a");
    expect([map.get("a"), map.has("a"), map.get("b")]).toEqual([undefined, false, 1]);
  });
});
