/** The steps of a program of v2 requests, as pinned.json holds them. */
import { z } from "zod";

const requestStep = z.strictObject({
  method: z.string(),
  /** With `{{dir}}`, `{{start+3}}` and `{{seq+3}}` (an in-order name): see lockstep.ts. */
  path: z.string(),
  headers: z.record(z.string(), z.string()).optional(),
  body: z.string().optional(),
  bodyBase64: z.string().optional(),
});

/** A long poll or a stream: it is opened, stands from then on, and is read when the program is over. */
const watchStep = z.strictObject({ watch: z.string() });

/** In ms; for what expires. */
const pauseStep = z.strictObject({ pause: z.number() });

export const stepSchema = z.union([requestStep, watchStep, pauseStep]);

export type Step = z.infer<typeof stepSchema>;
export type RequestStep = z.infer<typeof requestStep>;

/** The path and query of a request; "" where a step has none. */
export function targetOf(step: Step): string {
  if ("watch" in step) return step.watch;
  return "path" in step ? step.path : "";
}

/** Whether the answer to a step may come only later. */
export function mayWait(step: Step): boolean {
  return "watch" in step || ("method" in step && step.method === "GET" && /[?&]wait=/.test(step.path));
}

/** Whether a step makes a node that expires within the program. */
export function isMortal(step: Step): boolean {
  return "method" in step && /ttl=[01](?!\d)/.test(step.path + (step.body ?? ""));
}

/** A program as a person can read it, and as pinned.json takes it. */
export function listing(steps: readonly Step[]): string {
  return `[\n${steps.map((step) => `  ${JSON.stringify(step)}`).join(",\n")}\n]`;
}
