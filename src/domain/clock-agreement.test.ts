import { describe, expect, it } from "vitest";
import { agreementOf } from "./clock-agreement.ts";

const MINUTE = 60_000;

describe("agreementOf", () => {
  it.each([
    { it: "alone", differences: [], isOff: false, correctionMs: 0 },
    { it: "with peers as near as NTP keeps them", differences: [20, -35, 4], isOff: false, correctionMs: 0 },
    { it: "with one of two peers ten minutes ahead", differences: [3, 10 * MINUTE], isOff: false, correctionMs: 0 },
    { it: "with one of three peers behind", differences: [3, -2, -10 * MINUTE], isOff: false, correctionMs: 0 },
    {
      it: "ten minutes ahead of two peers",
      differences: [-10 * MINUTE, -10 * MINUTE],
      isOff: true,
      correctionMs: -10 * MINUTE,
    },
    { it: "behind two peers", differences: [MINUTE, MINUTE + 10], isOff: true, correctionMs: MINUTE },
    { it: "behind one peer: which is right nobody knows", differences: [MINUTE], isOff: true, correctionMs: 0 },
    { it: "two against two", differences: [5, MINUTE, MINUTE], isOff: true, correctionMs: 0 },
    {
      it: "each at another time",
      differences: [-MINUTE, MINUTE, 5 * MINUTE, 9 * MINUTE],
      isOff: true,
      correctionMs: 0,
    },
  ])("$it", ({ differences, isOff, correctionMs }) => {
    expect(agreementOf(differences)).toMatchObject({ isOff, correctionMs });
  });

  it("only clocks that are there bear a time out: by two of which one has left nobody is corrected", () => {
    expect(agreementOf([MINUTE, MINUTE], [MINUTE])).toMatchObject({ isOff: true, isBorneOut: false, correctionMs: 0 });
    expect(agreementOf([0, MINUTE], [MINUTE])).toMatchObject({ isOff: false, isBorneOut: false });
    expect(agreementOf([0, MINUTE], [0, MINUTE])).toMatchObject({ isOff: false, isBorneOut: true });
  });

  it("of two clocks that disagree both are off, by the same", () => {
    expect(agreementOf([MINUTE])).toMatchObject({ isOff: true, offMs: MINUTE / 2 });
    expect(agreementOf([-MINUTE])).toMatchObject({ isOff: true, offMs: -MINUTE / 2 });
  });
});
