import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { STORE_PROGRESS_DOUBT_MS } from "../../base/store-limits.ts";
import { EtcdWatchProgress } from "./etcd-watch-progress.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function stage(isOrdered: boolean) {
  const told: string[] = [];
  let questions = 0;
  const progress = new EtcdWatchProgress((revision, isWanted) => told.push(`${revision}${isWanted ? " wanted" : ""}`));
  progress.connected(() => void questions++, { isOrdered });
  return { progress, told, questions: () => questions };
}

test("progress: an answer in order counts at once", () => {
  const { progress, told } = stage(true);
  progress.want();
  progress.answered(7);
  progress.look();
  progress.answered(9);
  expect(told).toEqual(["7 wanted", "9"]);
});

test("progress: etcd is asked again until it answers", () => {
  const { progress, questions } = stage(true);
  progress.want();
  vi.advanceTimersByTime(3 * STORE_PROGRESS_DOUBT_MS);
  expect(questions()).toBe(4);
  progress.answered(7);
  vi.advanceTimersByTime(60_000);
  expect(questions()).toBe(4);
});

test("progress: an answer that may have overtaken events counts after two more, without events between them", () => {
  const { progress, told, questions } = stage(false);
  progress.want();
  for (let answers = 0; answers < 2; answers++) {
    progress.answered(7);
    // To a question asked twice: it proves nothing.
    progress.answered(7);
    expect(told).toEqual([]);
    vi.advanceTimersByTime(STORE_PROGRESS_DOUBT_MS);
  }
  expect(questions()).toBe(3);
  progress.answered(8);
  expect(told).toEqual(["7 wanted"]);
});

test("progress: events that come after such an answer and are from before it make the waiting begin anew", () => {
  const { progress, told } = stage(false);
  progress.want();
  progress.answered(7);
  vi.advanceTimersByTime(STORE_PROGRESS_DOUBT_MS);
  progress.answered(7);
  progress.eventsFrom(6);
  vi.advanceTimersByTime(STORE_PROGRESS_DOUBT_MS);
  progress.answered(7);
  expect(told).toEqual([]);
  vi.advanceTimersByTime(STORE_PROGRESS_DOUBT_MS);
  progress.answered(7);
  expect(told).toEqual(["7 wanted"]);
});

test("progress: an event of a later revision makes such an answer certain", () => {
  const { progress, told } = stage(false);
  progress.want();
  progress.answered(7);
  progress.eventsFrom(8);
  expect(told).toEqual(["7 wanted"]);
});

test("progress: what was asked for is asked for again on the next connection", () => {
  const { progress, told } = stage(true);
  progress.want();
  progress.disconnected();
  vi.advanceTimersByTime(60_000);
  let questions = 0;
  progress.connected(() => void questions++, { isOrdered: true });
  expect(questions).toBe(1);
  progress.answered(3);
  expect(told).toEqual(["3 wanted"]);
});
