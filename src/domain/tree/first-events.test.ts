import { describe, expect, it } from "vitest";
import { FairTurns } from "../../base/fair-turns.ts";
import { FIRST_EVENTS_PER_TURN } from "../../base/limits.ts";
import { FirstEvents } from "./first-events.ts";
import type { TreeEvent } from "./model.ts";
import { parsePath } from "./tree-path.ts";

const node = {
  kind: "file",
  path: parsePath("/k"),
  value: new Uint8Array(0),
  createdIndex: 1,
  modifiedIndex: 1,
} as const;
const event: TreeEvent = { action: "set", node, index: 1 };

/** A clock that moves on by a whole slice at each look: every piece has a turn of its own. */
function everyPieceItsTurn(): FairTurns {
  let now = 0;
  return new FairTurns(() => (now += 10));
}

describe("FirstEvents", () => {
  it("tells everybody, those too who come meanwhile, and others in between", async () => {
    const events = new FirstEvents(everyPieceItsTurn());
    const told: string[] = [];
    const crowd = FIRST_EVENTS_PER_TURN * 3 + 1;
    await new Promise<void>((resolve) => {
      const tell = (owner: string, name: string) => ({
        event,
        listener: {
          onEnd: () => undefined,
          onTold: () => undefined,
          onEvent: () => {
            told.push(name);
            if (name === "crowd 0") events.add(owner, tell(owner, "late"));
            if (name === "late") resolve();
          },
        },
      });
      for (let place = 0; place < crowd; place++) events.add("crowd", tell("crowd", `crowd ${place}`));
      events.add("other", tell("other", "other"));
      expect(told).toEqual([]);
    });
    expect(told).toHaveLength(crowd + 2);
    expect(told.indexOf("other")).toBeLessThanOrEqual(FIRST_EVENTS_PER_TURN * 2);
    expect(told.filter((name) => name.startsWith("crowd"))).toEqual(
      Array.from({ length: crowd }, (_, place) => `crowd ${place}`),
    );
  });

  it("leaves what nobody waits for until all have their news, also where more keep coming", async () => {
    const events = new FirstEvents(everyPieceItsTurn());
    const crowd = FIRST_EVENTS_PER_TURN * 2 + 1;
    const steps: string[] = [];
    await new Promise<void>((resolve) => {
      let late = 0;
      const listener = {
        onEnd: () => undefined,
        onEvent: () => {
          steps.push("news");
          if (late++ < crowd) events.add("crowd", { event, listener });
        },
        onTold: () => steps.push("rest") === 4 * crowd && resolve(),
      };
      for (let place = 0; place < crowd; place++) events.add("crowd", { event, listener });
    });
    const round = [...Array(crowd).fill("news"), ...Array(crowd).fill("rest")];
    expect(steps).toEqual([...round, ...round]);
  });

  it("begins anew with an owner of whom nobody waited any more", async () => {
    const events = new FirstEvents(everyPieceItsTurn());
    for (let round = 0; round < 2; round++) {
      await new Promise<void>((resolve) => {
        events.add("owner", { event, listener: { onEvent: () => undefined, onTold: resolve, onEnd: () => undefined } });
      });
    }
  });
});
