import { expect, test } from "vitest";
import { MusterProcess } from "../support/muster-process.ts";
import { readDeviations } from "./deviations.ts";
import { judge, report } from "./judge.ts";
import { readTranscript } from "./transcript.ts";
import { playTranscript } from "./transcript-player.ts";

/** Played alone it takes seconds; on a busy machine each of a thousand writes waits for its sync. */
const PLAYING_TIMEOUT_MS = 300_000;

test("discovery: the public listener answers as the original server did, but for the deviations that are meant", {
  timeout: PLAYING_TIMEOUT_MS,
}, async () => {
  await using muster = await MusterProcess.start();
  const transcript = await readTranscript("discovery");
  const deviations = await readDeviations("discovery");
  const runs = await playTranscript(muster.publicUrl, transcript);
  const verdicts = runs.map((run) => judge(run, { strict: true, deviation: deviations.get(run.played.name) }));
  expect(report(verdicts)).toBe("");
  expect(verdicts).toHaveLength(transcript.cases.length);
});

test("discovery: every deviation is of a case that there is", async () => {
  const transcript = await readTranscript("discovery");
  const names = new Set(transcript.cases.map(({ name }) => name));
  const deviations = await readDeviations("discovery");
  expect([...deviations.keys()].filter((name) => !names.has(name))).toEqual([]);
});
