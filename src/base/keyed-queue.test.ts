import { describe, expect, it } from "vitest";
import { KeyedQueue } from "./keyed-queue.ts";

describe("KeyedQueue", () => {
  it("runs tasks of one key in order, one at a time, past failures, and others beside them", async () => {
    const queue = new KeyedQueue();
    const log: string[] = [];
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const first = queue.run("k", async () => {
      await held;
      log.push("first");
      throw new Error("no");
    });
    const second = queue.run("k", async () => log.push("second"));
    await queue.run("other", async () => log.push("other"));
    expect(queue.isBusy("k")).toBe(true);
    release();
    await expect(first).rejects.toThrow("no");
    await second;
    expect(log).toEqual(["other", "first", "second"]);
    expect(queue.isBusy("k")).toBe(false);
  });
});
