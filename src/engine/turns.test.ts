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

  it("begin: at once while the turn has time, else in a later turn, in the order they came", async () => {
    const { turns, take, began } = timed();
    expect(turns.begin(take("a", READ_SLICE_MS / 2))).toBe("a");
    expect(turns.begin(take("b", READ_SLICE_MS / 2))).toBe("b");
    const later = [turns.begin(take("c", READ_SLICE_MS)), turns.begin(take("d", READ_SLICE_MS))];
    expect(began).toEqual(["a", "b"]);
    await nextTurn();
    expect(began).toEqual(["a", "b", "c"]);
    // Nobody overtakes those who wait, though this turn's time may not be spent.
    later.push(turns.begin(take("e", 0)));
    await nextTurn();
    expect(began).toEqual(["a", "b", "c", "d"]);
    expect(await Promise.all(later)).toEqual(["c", "d", "e"]);
    await nextTurn();
    expect(turns.begin(take("f", 0))).toBe("f");
  });

  it("begin: one that reads again and again waits behind all others each time", async () => {
    const { turns, take, began } = timed();
    const listing = async () => {
      for (let piece = 0; piece < 3; piece++) {
        await turns.begin(take(`listing ${piece}`, READ_SLICE_MS));
      }
    };
    await Promise.all([listing(), ...["a", "b", "c"].map((name) => turns.begin(take(name, 1)))]);
    expect(began).toEqual(["listing 0", "a", "b", "c", "listing 1", "listing 2"]);
  });

  it("begin: one that fails does not hold up the next", async () => {
    const { turns, take } = timed();
    turns.begin(take("a", READ_SLICE_MS));
    const fail = () => {
      throw new Error("broken");
    };
    const [failed, next] = [turns.begin(fail), turns.begin(take("b", 0))];
    await expect(failed).rejects.toThrow("broken");
    expect(await next).toBe("b");
    expect(() => turns.begin(fail)).toThrow("broken");
  });
});

/** Turns on a clock that moves when work is done. */
function timed() {
  let now = 0;
  const began: string[] = [];
  const take = (name: string, ms: number) => () => {
    began.push(name);
    now += ms;
    return name;
  };
  return { turns: new Turns(() => now), take, began };
}
