/** The answers in which Muster means to differ from what was recorded: which, why, and what it answers instead. */
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { normalizeSchema, recordedSchema } from "./transcript.ts";

const deviation = z.strictObject({
  case: z.string(),
  reason: z.string().min(1),
  /** By step number, from 1. */
  steps: z.record(z.string(), z.strictObject({ response: recordedSchema, normalize: normalizeSchema.optional() })),
});

export type Deviation = z.infer<typeof deviation>;

/** From `deviations-<name>.json`; throws where a case is listed twice. */
export async function readDeviations(name: string): Promise<ReadonlyMap<string, Deviation>> {
  const file = new URL(`./deviations-${name}.json`, import.meta.url);
  const list = z.array(deviation).parse(JSON.parse(await readFile(file, "utf8")));
  const byCase = new Map(list.map((each) => [each.case, each]));
  if (byCase.size !== list.length) {
    throw new Error(
      `give each case one entry in deviations-${name}.json: ${list.length} entries, ${byCase.size} cases`,
    );
  }
  return byCase;
}
