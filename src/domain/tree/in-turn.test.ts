import { describe, expect, it } from "vitest";
import { InTurn } from "./in-turn.ts";

describe("InTurn", () => {
  it("come: in the order in which places were given, however they are left", async () => {
    const inTurn = new InTurn();
    const places = [inTurn.next(), inTurn.next(), inTurn.next()];
    const came: number[] = [];
    const coming = places.map(async (place, index) => {
      await place.come();
      came.push(index);
    });
    places[1]?.leave();
    await coming[0];
    expect(came).toEqual([0]);
    places[0]?.leave();
    places[0]?.leave();
    await Promise.all(coming);
    expect(came).toEqual([0, 1, 2]);
  });
});
