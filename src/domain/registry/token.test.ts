import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isRandomToken, makeToken, TOKEN_RANDOM_BYTES } from "./token.ts";

const random = fc.uint8Array({ minLength: TOKEN_RANDOM_BYTES, maxLength: TOKEN_RANDOM_BYTES });
const NOW = 1_795_000_000_000;

describe("makeToken", () => {
  it("ends with all of the random bytes, and has the form of a token that /new makes", () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 45 }), random, (now, bytes) => {
        const token = makeToken(now, bytes);
        expect(isRandomToken(token)).toBe(true);
        expect(token.endsWith(Buffer.from(bytes).toString("hex"))).toBe(true);
      }),
    );
  });

  it("keeps tokens together in the store that are made one after the other", () => {
    fc.assert(
      fc.property(random, random, fc.integer({ min: 1, max: 1000 }), (one, other, later) => {
        expect(makeToken(NOW, one) < makeToken(NOW + later, other)).toBe(true);
      }),
    );
  });
});
