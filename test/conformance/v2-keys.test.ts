import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { z } from "zod";
import { MusterProcess } from "../support/muster-process.ts";
import { judge, report } from "./judge.ts";
import { readTranscript } from "./transcript.ts";
import { playTranscript } from "./transcript-player.ts";

/** Played alone it takes seconds; on a busy machine each of a thousand writes waits for its sync. */
const PLAYING_TIMEOUT_MS = 120_000;

const openCases = z.array(z.strictObject({ case: z.string(), why: z.string().min(1) }));

/** The cases that do not match yet. A ratchet until the keys API is exact: the list only ever gets shorter. */
async function readOpenCases(): Promise<ReadonlySet<string>> {
  const file = new URL("./v2-keys-open.json", import.meta.url);
  const list = openCases.parse(JSON.parse(await readFile(file, "utf8")));
  return new Set(list.map((each) => each.case));
}

test("v2-keys: the client listener answers as etcd 2 did, but for the cases that are open, and those are open", {
  timeout: PLAYING_TIMEOUT_MS,
}, async () => {
  await using muster = await MusterProcess.start();
  const transcript = await readTranscript("v2-keys");
  const open = await readOpenCases();
  const runs = await playTranscript(muster.clientUrl, transcript);
  const verdicts = runs.map((run) => judge(run, { strict: false }));
  expect(report(verdicts.filter(({ name }) => !open.has(name)))).toBe("");
  expect(
    verdicts
      .filter(({ name, lines }) => lines.length > 0 && open.has(name))
      .map(({ name }) => name)
      .sort(),
  ).toEqual([...open].sort());
  expect(verdicts).toHaveLength(transcript.cases.length);
});
