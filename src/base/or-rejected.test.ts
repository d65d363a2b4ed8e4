import { describe, expect, it } from "vitest";
import { orRejected } from "./or-rejected.ts";

describe("orRejected", () => {
  it("answers with the very promise that the work does", async () => {
    const answer = Promise.resolve(1);
    expect(orRejected(() => answer)).toBe(answer);
  });

  it("rejects with what the work throws, and throws nothing itself", async () => {
    const thrown = new Error("thrown");
    const answer = orRejected(() => {
      throw thrown;
    });
    await expect(answer).rejects.toBe(thrown);
  });
});
