import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { READ_SLICE_MS } from "../base/limits.ts";
import { Turns } from "./turns.ts";

describe("Turns", () => {
  it("next: gives one a turn of the event loop, in the order they came", async () => {
    const turns = new Turns();
    const had: string[] = [];
    const take = async (name: string) => {
      await turns.next();
      had.push(name);
    };
    const all = [take("a"), take("b"), take("c")];
    for (const expected of ["a", "ab", "abc"]) {
      await nextTurn();
      expect(had.join("")).toBe(expected);
    }
    await Promise.all(all);
    await take("d");
    expect(had.join("")).toBe("abcd");
  });

  it("isSpent: from when beginnings took a slice's time together, until the next turn", async () => {
    const turns = new Turns();
    turns.spend(READ_SLICE_MS / 2);
    expect(turns.isSpent).toBe(false);
    turns.spend(READ_SLICE_MS / 2);
    expect(turns.isSpent).toBe(true);
    await nextTurn();
    expect(turns.isSpent).toBe(false);
    turns.spend(READ_SLICE_MS);
    await nextTurn();
    expect(turns.isSpent).toBe(false);
  });
});
