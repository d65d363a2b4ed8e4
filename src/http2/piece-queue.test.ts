import fc from "fast-check";
import { expect, test } from "vitest";
import { PieceQueue } from "./piece-queue.ts";

const step = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 40 }).map((piece) => ({ piece })),
  fc.integer({ min: 1, max: 100 }).map((most) => ({ most })),
);

test("gives the bytes in their order, as many as are asked for or there are", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400, size: "max" }), (steps) => {
      const queue = new PieceQueue();
      let waiting = Buffer.alloc(0);
      for (const next of steps) {
        if ("piece" in next) {
          queue.push(next.piece);
          waiting = Buffer.concat([waiting, next.piece]);
        } else {
          const taken = queue.take(next.most);
          expect(Buffer.from(taken)).toEqual(waiting.subarray(0, Math.min(next.most, waiting.length)));
          waiting = waiting.subarray(taken.length);
        }
        expect(queue.bytes).toBe(waiting.length);
      }
    }),
  );
});
