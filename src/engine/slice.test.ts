import { describe, expect, it } from "vitest";
import { Slice } from "./slice.ts";

describe("Slice", () => {
  it("isOver: looks at the clock only after so many units of work, and says when the time is up", () => {
    let now = 0;
    let looks = 0;
    const monotonic = () => {
      looks++;
      return now;
    };
    const slice = new Slice({ monotonic, ms: 10, unitsPerLook: 4 });
    slice.begin(0);
    now = 10;
    expect([1, 2, 3].map(() => slice.isOver())).toEqual([false, false, false]);
    expect(looks).toBe(0);
    expect(slice.isOver()).toBe(true);
    slice.begin();
    expect(slice.isOver(100)).toBe(false);
    now = 20;
    expect(slice.isOver(4)).toBe(true);
  });
});
