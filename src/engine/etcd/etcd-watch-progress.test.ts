import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { STORE_PROGRESS_DOUBT_MS } from "../../base/store-limits.ts";
import type { Revision } from "../model.ts";
import { EtcdWatchProgress } from "./etcd-watch-progress.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Progress on a connection, in a store whose newest revision is 7 unless another is set. */
function stage(isOrdered: boolean) {
  const told: string[] = [];
  const questions: string[] = [];
  const store = { newest: async (): Promise<Revision> => 7 };
  const progress = new EtcdWatchProgress({
    newest: () => store.newest(),
    onProgress: (revision, { isWanted }) => told.push(`${revision}${isWanted ? " wanted" : ""}`),
  });
  const connect = () =>
    progress.connected(({ isFenced }) => questions.push(isFenced ? "fenced" : "plain"), { isOrdered });
  connect();
  return { progress, told, questions, store, connect };
}

/** Lets readings of the newest revision come back. */
const readingsDone = () => vi.advanceTimersByTimeAsync(0);

/** Answers the question that was asked, and two more. */
function answerThrice(progress: EtcdWatchProgress, revision: Revision): void {
  progress.answered(revision);
  vi.advanceTimersByTime(STORE_PROGRESS_DOUBT_MS);
  progress.answered(revision);
  vi.advanceTimersByTime(STORE_PROGRESS_DOUBT_MS);
  progress.answered(revision);
}

test("progress: an answer in order counts at once", async () => {
  const { progress, told } = stage(true);
  progress.want();
  await readingsDone();
  progress.answered(7);
  progress.look();
  progress.answered(9);
  expect(told).toEqual(["7", "7 wanted", "9"]);
});

test("progress: etcd is asked again until it answers", async () => {
  const { progress, questions } = stage(true);
  progress.want();
  await readingsDone();
  vi.advanceTimersByTime(3 * STORE_PROGRESS_DOUBT_MS);
  expect(questions).toHaveLength(4);
  progress.answered(7);
  vi.advanceTimersByTime(60_000);
  expect(questions).toHaveLength(4);
});

test("progress: an answer that may have overtaken events counts after two more, without events between them", async () => {
  const { progress, told, questions } = stage(false);
  progress.want();
  await readingsDone();
  for (let answers = 0; answers < 2; answers++) {
    progress.answered(7);
    // To a question asked twice: it proves nothing.
    progress.answered(7);
    expect(told).toEqual([]);
    vi.advanceTimersByTime(STORE_PROGRESS_DOUBT_MS);
  }
  expect(questions).toHaveLength(3);
  progress.answered(8);
  expect(told).toEqual(["7", "7 wanted"]);
});

test("progress: events that come after such an answer and are from before it make the waiting begin anew", async () => {
  const { progress, told } = stage(false);
  progress.want();
  await readingsDone();
  progress.answered(7);
  vi.advanceTimersByTime(STORE_PROGRESS_DOUBT_MS);
  progress.answered(7);
  progress.eventsFrom(6);
  vi.advanceTimersByTime(STORE_PROGRESS_DOUBT_MS);
  progress.answered(7);
  expect(told).toEqual([]);
  vi.advanceTimersByTime(STORE_PROGRESS_DOUBT_MS);
  progress.answered(7);
  expect(told).toEqual(["7", "7 wanted"]);
});

test("progress: an event of a later revision makes such an answer certain", async () => {
  const { progress, told } = stage(false);
  progress.want();
  await readingsDone();
  progress.answered(7);
  progress.eventsFrom(8);
  expect(told).toEqual(["7", "7 wanted"]);
});

test("progress: what was asked for is asked for again on the next connection", async () => {
  const { progress, told, questions, connect } = stage(true);
  progress.want();
  await readingsDone();
  progress.disconnected();
  vi.advanceTimersByTime(60_000);
  expect(questions).toHaveLength(1);
  connect();
  expect(questions).toHaveLength(2);
  progress.answered(7);
  expect(told).toEqual(["7", "7 wanted"]);
});

test("progress: an answer to a question from before the reader's is none to the reader's", async () => {
  const { progress, told, questions, store } = stage(true);
  progress.look();
  store.newest = async () => 8;
  progress.want();
  progress.answered(7);
  await readingsDone();
  expect(questions).toHaveLength(2);
  progress.answered(7);
  expect(told).toEqual(["7", "7"]);
  vi.advanceTimersByTime(STORE_PROGRESS_DOUBT_MS);
  expect(questions).toHaveLength(3);
  progress.answered(8);
  expect(told).toEqual(["7", "7", "8", "8 wanted"]);
});

test("progress: a doubted answer to a question from before the reader's is none to the reader's", async () => {
  const { progress, told, store } = stage(false);
  progress.look();
  progress.answered(7);
  store.newest = async () => 8;
  progress.want();
  await readingsDone();
  answerThrice(progress, 8);
  expect(told).toEqual(["8", "8 wanted"]);
});

test("progress: a reader is answered at once by what is certain already", async () => {
  const { progress, told, questions } = stage(true);
  progress.look();
  progress.answered(7);
  progress.want();
  await readingsDone();
  expect(told).toEqual(["7", "7 wanted"]);
  expect(questions).toHaveLength(1);
});

test("progress: a reader who asks again before the answer gets another one, as new as the second question", async () => {
  const { progress, told, store } = stage(true);
  progress.want();
  await readingsDone();
  store.newest = async () => 8;
  progress.want();
  progress.answered(7);
  await readingsDone();
  progress.answered(8);
  expect(told).toEqual(["7", "7 wanted", "8", "8 wanted"]);
});

test("progress: a reader is answered though the newest revision could not be read at first", async () => {
  const { progress, told, store } = stage(true);
  store.newest = async () => {
    throw new Error("no quorum");
  };
  progress.want();
  await readingsDone();
  store.newest = async () => 7;
  progress.look();
  await readingsDone();
  progress.answered(7);
  expect(told).toEqual(["7", "7 wanted"]);
});

test("progress: only a watch that may have missed something is asked about behind a fence", () => {
  const { progress, questions, connect } = stage(false);
  const asked = () => questions.splice(0);
  progress.look();
  answerThrice(progress, 7);
  expect(asked()).toEqual(["fenced", "fenced", "fenced"]);
  progress.look();
  answerThrice(progress, 8);
  expect(asked()).toEqual(["plain", "plain", "plain"]);
  progress.eventsFrom(9);
  progress.look();
  answerThrice(progress, 9);
  expect(asked()).toEqual(["fenced", "fenced", "fenced"]);
  connect();
  progress.look();
  expect(asked()).toEqual(["fenced"]);
});

test("progress: an etcd that answers in order needs no fence", () => {
  const { progress, questions } = stage(true);
  progress.look();
  expect(questions).toEqual(["plain"]);
});
