import { beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../base/clock.ts";
import { STORE_KNOWN_RANGES, STORE_LONG_RANGE_KEPT_MS, STORE_LONG_RANGE_KEYS } from "../../base/store-limits.ts";
import { EtcdRangeLengths } from "./etcd-range-lengths.ts";

describe("how long ranges are", () => {
  let now: number;
  let lengths: EtcdRangeLengths;
  beforeEach(() => {
    now = 1;
    lengths = new EtcdRangeLengths({ ...systemClock, monotonic: () => now });
  });

  it("is what etcd told last", () => {
    expect(lengths.of("a")).toBeUndefined();
    lengths.told("a", STORE_LONG_RANGE_KEYS - 1);
    expect(lengths.of("a")).toBe("short");
    lengths.told("a", STORE_LONG_RANGE_KEYS);
    expect(lengths.of("a")).toBe("long");
  });

  it("stays long over the last pages, and is to be found out again after a while", () => {
    lengths.told("a", STORE_LONG_RANGE_KEYS);
    now += STORE_LONG_RANGE_KEPT_MS - 1;
    lengths.told("a", 1);
    expect(lengths.of("a")).toBe("long");
    now += 1;
    expect(lengths.of("a")).toBeUndefined();
    lengths.told("a", 1);
    expect(lengths.of("a")).toBe("short");
  });

  it("is taken to be long where no answer came in time, until one does", () => {
    lengths.late("a");
    now += 2 * STORE_LONG_RANGE_KEPT_MS;
    expect(lengths.of("a")).toBe("long");
    lengths.told("a", 1);
    expect(lengths.of("a")).toBe("short");
  });

  it("is forgotten of a short one that fails, and not of a long one", () => {
    lengths.told("short", 1);
    lengths.told("long", STORE_LONG_RANGE_KEYS);
    lengths.doubt("short");
    lengths.doubt("long");
    expect([lengths.of("short"), lengths.of("long")]).toEqual([undefined, "long"]);
  });

  it("is remembered of those that were seen last", () => {
    for (let range = 0; range < STORE_KNOWN_RANGES; range++) lengths.told(`${range}`, 1);
    lengths.told("0", 1);
    lengths.told("one more", 1);
    expect(["0", "1", "2", "one more"].map((label) => lengths.of(label))).toEqual([
      "short",
      undefined,
      "short",
      "short",
    ]);
  });
});
