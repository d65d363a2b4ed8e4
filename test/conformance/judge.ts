/** Says in what a server differs from the transcript, but for deviations that are meant. */
import { differences } from "./compare.ts";
import type { Deviation } from "./deviations.ts";
import type { Json } from "./json.ts";
import { normaliseCase } from "./normaliser.ts";
import type { Normalize, Step, TranscriptCase } from "./transcript.ts";
import type { PlayedCase } from "./transcript-player.ts";

const MAX_TITLE_PATH_CHARS = 120;
/** Of one case; the first ones tell what the others follow from. */
const MAX_REPORTED_LINES = 12;

export interface Verdict {
  readonly name: string;
  /** What is wrong, a line each; none where the case matches. */
  readonly lines: readonly string[];
  /** Other servers that some of its answers match rather than the recorded one. */
  readonly as: readonly string[];
}

export interface JudgeOptions {
  /** Take only what the recorded server answered, not what its other versions do. */
  readonly strict: boolean;
  readonly deviation?: Deviation | undefined;
}

export function judge(run: PlayedCase, options: JudgeOptions): Verdict {
  const { played } = run;
  const recorded = normaliseCase(played, run);
  const deviating = normaliseCase(played, run, deviatingNormalizations(options.deviation));
  const lines: string[] = [];
  const as = new Set<string>();
  for (const [i, step] of played.steps.entries()) {
    if ("sleep" in step || step.response === undefined) {
      continue;
    }
    const found = differences(step.response, recorded[i]);
    const deviation = options.deviation?.steps[i + 1];
    const other = options.strict || found.length === 0 ? undefined : serverAnsweringSo(played, i, recorded[i]);
    if (deviation !== undefined) {
      const wrong = found.length === 0 ? ["answers as recorded: take it off the list of deviations"] : [];
      lines.push(...titled(step, i, [...wrong, ...differences(deviation.response, deviating[i])]));
    } else if (other !== undefined) {
      as.add(other);
    } else {
      lines.push(...titled(step, i, found));
    }
  }
  return { name: played.name, lines: [...lines, ...unknownSteps(played, options.deviation)], as: [...as] };
}

/** The cases that do not match, for people; empty where all do. */
export function report(verdicts: readonly Verdict[]): string {
  const wrong = verdicts.filter(({ lines }) => lines.length > 0);
  return wrong.map(({ name, lines }) => [name, ...lines.slice(0, MAX_REPORTED_LINES)].join("\n  ")).join("\n");
}

function deviatingNormalizations(deviation: Deviation | undefined): ReadonlyMap<number, Normalize> {
  const steps = Object.entries(deviation?.steps ?? {});
  return new Map(
    steps.flatMap(([step, { normalize }]) => (normalize === undefined ? [] : [[Number(step), normalize]])),
  );
}

function unknownSteps(played: TranscriptCase, deviation: Deviation | undefined): string[] {
  return Object.keys(deviation?.steps ?? {})
    .filter((step) => played.steps[Number(step) - 1] === undefined)
    .map((step) => `step ${step}: is a deviation, but the case has ${played.steps.length} steps`);
}

function serverAnsweringSo(played: TranscriptCase, position: number, answer: Json | undefined): string | undefined {
  return played.varies?.find(({ steps }) => {
    const response = steps[position + 1];
    return response !== undefined && differences(response, answer).length === 0;
  })?.server;
}

function titled(step: Exclude<Step, { sleep: number }>, position: number, lines: readonly string[]): string[] {
  const what = "await" in step ? `await ${step.await}` : `${step.method} ${step.path.slice(0, MAX_TITLE_PATH_CHARS)}`;
  return lines.map((line) => `step ${position + 1} ${what}: ${line}`);
}
