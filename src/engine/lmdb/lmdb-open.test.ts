import { describe, expect, it } from "vitest";
import { isSystemError } from "./lmdb-open.ts";

describe("isSystemError", () => {
  it("takes what LMDB and the system say, not what Node says of a mistake in the program", () => {
    const coded = (code: unknown) => Object.assign(new Error("broken"), { code });
    expect(["EIO", "ENOSPC", -30792, 28].map((code) => isSystemError(coded(code)))).toEqual([true, true, true, true]);
    expect(["ERR_INVALID_ARG_TYPE", undefined].map((code) => isSystemError(coded(code)))).toEqual([false, false]);
    expect([new Error("broken"), "EIO"].map(isSystemError)).toEqual([false, false]);
  });
});
