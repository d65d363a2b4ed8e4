import fc from "fast-check";
import { expect, test } from "vitest";
import { OpenCalls } from "./open-calls.ts";

test("OpenCalls: it holds what a set would, whatever comes and goes", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9), { maxLength: 100 }), (touched) => {
      const calls = Array.from({ length: 10 }, () => ({ place: 0 }));
      const open = new OpenCalls<{ place: number }>();
      const expected = new Set<{ place: number }>();
      for (const number of touched) {
        const call = calls[number];
        if (call === undefined) continue;
        if (expected.delete(call)) open.delete(call);
        else {
          expected.add(call);
          open.add(call);
        }
        expect(open.size).toBe(expected.size);
        const all = new Set(open.all());
        expect(all.size).toBe(expected.size);
        expect([...all].every((one) => expected.has(one))).toBe(true);
      }
    }),
  );
});

test("OpenCalls.all: what is taken out meanwhile is still gone through", () => {
  const open = new OpenCalls<{ place: number }>();
  for (let count = 0; count < 3; count++) open.add({ place: 0 });
  let seen = 0;
  for (const call of open.all()) {
    open.delete(call);
    seen++;
  }
  expect([seen, open.size]).toEqual([3, 0]);
});
