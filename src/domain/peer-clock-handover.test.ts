/** What a wrong clock is taken for while its peers leave, die and are started again, by a time that the test makes pass. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type ClockProcess, ClockStage } from "../../test/support/clock-stage.ts";
import { deferred } from "../../test/support/deferred.ts";
import { passTime } from "../../test/support/pass-time.ts";
import type { Watch } from "../engine/engine.ts";

const TEN_MINUTES = 600_000;
/** More than a clock that is right may be off by the readings of others. */
const WRONG_MS = 1_500;
/** Longer than a trip that tells anything. */
const SLOW_MS = 1_200;

let stage: ClockStage;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"] });
  stage = new ClockStage();
});

afterEach(async () => {
  vi.useRealTimers();
  await stage.close();
});

async function aRightAndAWrong(): Promise<{ readonly right: ClockProcess; readonly wrong: ClockProcess }> {
  const right = stage.open("a", 0, "a's");
  await passTime(3_000);
  const wrong = stage.open("c", TEN_MINUTES, "c's");
  await passTime(60_000);
  expect([right.peers.isTrusted, wrong.peers.isTrusted]).toEqual([false, false]);
  return { right, wrong };
}

function end(process: ClockProcess, how: "stop" | "crash"): void {
  if (how === "crash") process.engine.cut();
  else void process.close();
}

/** How long something was so in a time that passed, in ms. */
async function howLong(ms: number, isSo: () => boolean): Promise<number> {
  let long = 0;
  await passTime(ms, () => {
    if (isSo()) long += 50;
    return false;
  });
  return long;
}

function givesWrongTimes({ peers }: ClockProcess): boolean {
  return !peers.isUncertain && Math.abs(peers.clock.now() - Date.now()) > WRONG_MS;
}

/** Told late, as etcd does with a watch that begins in the past. */
function toldLate(below: Watch): Watch {
  return {
    createdRevision: below.createdRevision,
    requestProgress: () => below.requestProgress(),
    close: () => below.close(),
    async *[Symbol.asyncIterator]() {
      await new Promise((resolve) => setTimeout(resolve, 100));
      yield* below;
    },
  };
}

describe("PeerClocks: a wrong clock is not trusted", () => {
  it.each(["stop", "crash"] as const)("while its peer is started again at its place, after a %s", async (how) => {
    const { right, wrong } = await aRightAndAWrong();
    end(right, how);
    const isTrusted = () => wrong.peers.isTrusted;
    expect(await howLong(2_000, isTrusted)).toBe(0);
    stage.open("a2", 0, "a's");
    expect(await howLong(20_000, isTrusted)).toBe(0);
  });

  it("while both its peers are started again", async () => {
    const all = [stage.open("a", 0, "a's"), stage.open("b", 0, "b's")];
    await passTime(3_000);
    const wrong = stage.open("c", TEN_MINUTES, "c's");
    await passTime(60_000);
    for (const right of all) end(right, "crash");
    await passTime(2_000);
    stage.open("a2", 0, "a's");
    stage.open("b2", 0, "b's");
    expect(await howLong(10_000, () => wrong.peers.isTrusted)).toBe(0);
  });

  it("when its watch breaks just after its peer left to be started again", async () => {
    const { right, wrong } = await aRightAndAWrong();
    end(right, "stop");
    await passTime(1_000);
    wrong.engine.cut();
    await passTime(1_000);
    wrong.engine.mend();
    expect(await howLong(5_000, () => wrong.peers.isTrusted)).toBe(0);
  });

  it("when the last peer that it was compared with is forgotten, and of a new one it is told too slowly", async () => {
    const { right, wrong } = await aRightAndAWrong();
    end(right, "stop");
    await passTime(1_000);
    const txn = wrong.engine.txn.bind(wrong.engine);
    wrong.engine.txn = async (request) => {
      await new Promise((resolve) => setTimeout(resolve, SLOW_MS));
      return txn(request);
    };
    stage.open("a2", 0, "elsewhere");
    expect(await howLong(60_000, () => wrong.peers.isTrusted)).toBe(0);
  });

  it("because its own write is answered before its watch tells who had written", async () => {
    const wrong = stage.open("c", TEN_MINUTES, "c's");
    const { engine } = wrong;
    const [watch, txn] = [engine.watch.bind(engine), engine.txn.bind(engine)];
    const hasRead = deferred();
    engine.watch = (request) => {
      hasRead.resolve();
      return toldLate(watch(request));
    };
    engine.txn = async (request) => {
      engine.txn = txn;
      await new Promise((resolve) => setTimeout(resolve, 20));
      return txn(request);
    };
    // Who is there: nobody.
    await hasRead.promise;
    stage.open("a", 0, "a's");
    expect(await howLong(10_000, () => wrong.peers.isTrusted)).toBe(0);
  });
});

describe("PeerClocks: a right clock is not corrected", () => {
  it.each(["stop", "crash"] as const)(
    "by a wrong one that counts twice, after a %s and a start elsewhere",
    async (how) => {
      const { right, wrong } = await aRightAndAWrong();
      end(wrong, how);
      await passTime(2_000);
      stage.open("c2", TEN_MINUTES, "elsewhere");
      expect(await howLong(40_000, () => givesWrongTimes(right))).toBe(0);
    },
  );

  it("by what a process left that crashed twice, each time elsewhere", async () => {
    const right = stage.open("a", 0, "a's");
    stage.open("b", 0, "b's");
    await passTime(3_000);
    for (const id of ["c", "c2"]) {
      const wrong = stage.open(id, TEN_MINUTES, id);
      await passTime(3_000);
      end(wrong, "crash");
    }
    stage.open("c3", TEN_MINUTES, "c3");
    expect(await howLong(40_000, () => givesWrongTimes(right))).toBe(0);
  });
});
