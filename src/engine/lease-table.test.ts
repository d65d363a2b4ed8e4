import { describe, expect, it } from "vitest";
import { LeaseTable } from "./lease-table.ts";

function tableAt(start: number): { readonly table: LeaseTable; readonly wait: (ms: number) => void } {
  let time = start;
  return {
    table: new LeaseTable(() => time),
    wait: (ms) => {
      time += ms;
    },
  };
}

const NEVER = () => false;

/** The result of work in slices that was told to make none. */
function atOnce<T>(work: Generator<void, T, void>): T {
  const { done, value } = work.next();
  if (done !== true) {
    throw new Error("it yielded");
  }
  return value;
}

describe("LeaseTable", () => {
  it("timeToLive: rounds down, and ends with the time", () => {
    const { table, wait } = tableAt(5000);
    table.start(7n, 10);
    expect(table.timeToLive(7n)).toEqual({ granted: 10, left: 10 });
    wait(1);
    expect(table.timeToLive(7n)).toEqual({ granted: 10, left: 9 });
    wait(9998);
    expect(table.timeToLive(7n)).toEqual({ granted: 10, left: 0 });
    wait(1);
    expect(table.timeToLive(7n)).toBeUndefined();
  });

  it("renew: gives the full time again, but not to one whose time is over", () => {
    const { table, wait } = tableAt(0);
    table.start(7n, 10);
    wait(9000);
    expect(table.renew(7n)).toBe(10);
    wait(9999);
    expect(atOnce(table.expired(NEVER))).toEqual([]);
    wait(1);
    expect(table.renew(7n)).toBeUndefined();
    expect(table.isExpired(7n)).toBe(true);
    expect(table.renew(8n)).toBeUndefined();
  });

  it("expired: the longest over first", () => {
    const { table, wait } = tableAt(0);
    table.start(1n, 30);
    table.start(2n, 10);
    table.start(3n, 20);
    wait(20_000);
    expect(atOnce(table.expired(NEVER))).toEqual([2n, 3n]);
    table.remove(2n);
    expect(atOnce(table.expired(NEVER))).toEqual([3n]);
    expect(table.isExpired(2n)).toBe(false);
  });

  it("expired: looks at the clock once, however many there are", () => {
    let looks = 0;
    const table = new LeaseTable(() => looks++);
    for (let id = 1n; id <= 100n; id++) {
      table.start(id, 10);
    }
    looks = 0;
    atOnce(table.expired(NEVER));
    expect(looks).toBe(1);
  });

  it("ids: in rising order, as numbers", () => {
    const { table } = tableAt(0);
    for (const id of [10n, 9n, 2n ** 62n]) {
      table.start(id, 5);
    }
    expect(atOnce(table.ids(NEVER))).toEqual([9n, 10n, 2n ** 62n]);
  });
});
