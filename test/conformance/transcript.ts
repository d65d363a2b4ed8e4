/**
 * The transcripts' format (http-transcript/1): recorded conversations with real servers, as
 * test/conformance/transcripts/ holds them, untouched.
 */
import { readFile } from "node:fs/promises";
import { z } from "zod";

/** What is left out of a comparison, or how a body is reduced before it. */
export const normalizeSchema = z.strictObject({
  statusOnly: z.boolean().optional(),
  ignoreBody: z.boolean().optional(),
  /** Compare field names and types only. */
  shape: z.boolean().optional(),
  /** Compare numbers as the change since the answer to the step of this name. */
  delta: z.string().optional(),
  /** Fields of the body that are left out. */
  drop: z.array(z.string()).optional(),
  /** Compare only whether the body contains these texts. */
  contains: z.array(z.string()).optional(),
});

/** A recorded, normalised response. */
export const recordedSchema = z.record(z.string(), z.json());

const requestStep = z.strictObject({
  id: z.string().optional(),
  method: z.string(),
  path: z.string(),
  headers: z.record(z.string(), z.string()).optional(),
  body: z.string().optional(),
  bodyBase64: z.string().optional(),
  repeat: z.number().optional(),
  background: z.boolean().optional(),
  normalize: normalizeSchema.optional(),
  response: recordedSchema.optional(),
});

const awaitStep = z.strictObject({
  await: z.string(),
  /** ms; DEFAULT_WITHIN_MS where absent. */
  within: z.number().optional(),
  /** How many events to read from a stream. */
  events: z.number().optional(),
  normalize: normalizeSchema.optional(),
  response: recordedSchema,
});

const sleepStep = z.strictObject({ sleep: z.number() });

const transcriptCase = z.strictObject({
  name: z.string(),
  about: z.string(),
  area: z.string(),
  parallel: z.boolean().optional(),
  steps: z.array(z.union([requestStep, awaitStep, sleepStep])),
  /** How other versions of the real server answer, by step number, from 1. */
  varies: z
    .array(
      z.strictObject({ server: z.string(), how: z.array(z.string()), steps: z.record(z.string(), recordedSchema) }),
    )
    .optional(),
});

const transcript = z.strictObject({
  format: z.literal("http-transcript/1"),
  corpus: z.enum(["discovery", "v2-keys"]),
  server: z.string(),
  cases: z.array(transcriptCase),
});

export type Normalize = z.infer<typeof normalizeSchema>;
export type RequestStep = z.infer<typeof requestStep>;
export type AwaitStep = z.infer<typeof awaitStep>;
export type Step = z.infer<typeof transcriptCase>["steps"][number];
export type TranscriptCase = z.infer<typeof transcriptCase>;
export type Transcript = z.infer<typeof transcript>;

/** The time an `await` step gives a long poll where it names none. */
export const DEFAULT_WITHIN_MS = 3000;

export async function readTranscript(corpus: Transcript["corpus"]): Promise<Transcript> {
  const file = new URL(`./transcripts/${corpus}.json`, import.meta.url);
  return transcript.parse(JSON.parse(await readFile(file, "utf8")));
}
