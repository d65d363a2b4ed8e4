import { describe, expect, it } from "vitest";
import { agreementOf } from "./clock-agreement.ts";
import { clockOffNotice } from "./peer-clock-notices.ts";

const MINUTE = 60_000;

describe("clockOffNotice", () => {
  it.each([
    { differences: [-10 * MINUTE], words: "this one's is 600.0 s ahead of the other's" },
    { differences: [10 * MINUTE], words: "this one's is 600.0 s behind the other's" },
  ])("of two it blames neither, and tells how far they are apart: $words", ({ differences, words }) => {
    const notice = clockOffNotice(agreementOf(differences));
    expect(notice).toContain(words);
    expect(notice).toContain("nobody knows which is wrong");
    expect(notice).toMatch(/until they agree nothing expires by either, and writes with a time to live are refused$/);
  });

  it("of more, most of which agree, it tells what this one's is off by", () => {
    const notice = clockOffNotice(agreementOf([MINUTE, MINUTE]));
    expect(notice).toContain("this one is 60.0 s behind the middle of the clocks of all 3 Musters");
    expect(notice).toMatch(/nothing expires by it$/);
  });

  it("of more that do not agree on a time it tells what is refused, too", () => {
    expect(clockOffNotice(agreementOf([0, MINUTE, MINUTE]))).toMatch(
      /all 4 Musters .* nothing expires by it, and writes with a time to live are refused$/,
    );
  });
});
