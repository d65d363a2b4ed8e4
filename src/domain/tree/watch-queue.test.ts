import { describe, expect, it } from "vitest";
import { WatchQueue } from "./watch-queue.ts";

describe("WatchQueue", () => {
  it("gives what was pushed in order, then ends", async () => {
    const queue = new WatchQueue<number>({ limit: 10, overflow: () => new Error("slow") });
    queue.push(1);
    const read: number[] = [];
    const reading = (async () => {
      for await (const item of queue) read.push(item);
    })();
    await Promise.resolve();
    queue.push(2);
    queue.push(3);
    queue.end();
    queue.push(4);
    await reading;
    expect(read).toEqual([1, 2, 3]);
  });

  it("tells a reader that does not iterate of what is there, what comes and its end", () => {
    const queue = new WatchQueue<number>({ limit: 2, overflow: () => new Error("slow") });
    queue.push(1);
    const seen: (number | undefined)[] = [];
    queue.tell({ onReady: () => seen.push(queue.first) });
    expect(seen).toEqual([1]);
    queue.push(2);
    queue.push(3);
    expect(seen).toEqual([1, 1, undefined]);
  });

  it("fails a reader that is too far behind", async () => {
    const queue = new WatchQueue<number>({ limit: 2, overflow: () => new Error("slow") });
    for (const item of [1, 2, 3]) queue.push(item);
    await expect(queue[Symbol.asyncIterator]().next()).rejects.toThrow("slow");
  });
});
