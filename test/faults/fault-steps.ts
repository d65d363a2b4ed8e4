/** Goes through the steps of a plan, and looks while a fault lasts and when it is over whether what must go on does. */
import { setTimeout as sleep } from "node:timers/promises";
import { bringAbout, type Lasting, type Stage } from "./fault-control.ts";
import type { Step } from "./fault-plan.ts";
import type { Operation, WriteOutcome } from "./history.ts";
import { RECOVER_MS, untilDone } from "./recovery.ts";
import type { StoreMuster } from "./store-muster.ts";
import { LOAD_PREFIX, type Worker } from "./worker.ts";

/** A Muster that is to go on serving does so again within this: a call or two that run into STORE_DEADLINE_MS, and an election. */
const SURVIVE_MS = 15_000;
/** One that has no store refuses within this: a call that runs into STORE_DEADLINE_MS, and one that was taken before. */
const REFUSE_MS = 10_000;
/** No answer takes longer of a Muster that runs and is reached: served or refused. */
const ANSWER_MS = 10_000;
/** What was lost on its way is sent again so long after a link is there again. */
const RESENT_MS = 12_000;
/** So long after its clock was moved /health says so. */
const NOTICE_MS = 45_000;
const POLL_MS = 100;

interface Disturbance {
  readonly muster: string;
  readonly from: number;
  readonly to: number;
}

export class FaultSteps {
  /** What went wrong so far, a sentence each. */
  readonly #wrong: string[] = [];
  readonly #stage: Stage;
  readonly #probe: Worker;
  readonly #say: (line: string) => void;
  /** When a Muster could not answer its clients, whatever it did. */
  readonly #disturbances: Disturbance[] = [];

  constructor(stage: Stage, probe: Worker, say: (line: string) => void) {
    this.#stage = stage;
    this.#probe = probe;
    this.#say = say;
  }

  get wrong(): readonly string[] {
    return [...this.#wrong, ...this.#lateAnswers(this.#probe.recorder.operations)];
  }

  async run({ faults, holdMs, pauseMs }: Step): Promise<void> {
    const begun = performance.now();
    const lasting: Lasting[] = [];
    for (const fault of faults) lasting.push(await bringAbout(fault, { ...this.#stage, worker: this.#probe }));
    const what = lasting.map((each) => each.what).join(", and ");
    const [only] = lasting;
    const survived = lasting.length === 1 && only !== undefined ? await this.#lookAt(only) : "";
    await sleep(holdMs);
    for (const each of lasting.reverse()) await each.end();
    const over = performance.now();
    await this.whenAllServe(`after ${what}`);
    const recovered = Math.round(performance.now() - over);
    this.#note(lasting, begun);
    this.#refuseExits(what, lasting.length);
    this.#say(
      `${Math.round(begun)} ms: ${what}; ${survived}lasted ${Math.round(over - begun)} ms, all well ${recovered} ms later`,
    );
    await sleep(pauseMs);
  }

  /** Every Muster takes a write, in the time that it has for it. */
  async whenAllServe(when: string): Promise<void> {
    const { musters } = this.#stage;
    await Promise.all(musters.map((muster) => this.#expectServing(muster, { withinMs: RECOVER_MS, when })));
  }

  async #lookAt({ what, serving, refusing, wrongClocks }: Lasting): Promise<string> {
    const begun = performance.now();
    const when = `during ${what}`;
    await Promise.all([
      ...serving.map((muster) => this.#expectServing(muster, { withinMs: SURVIVE_MS, when })),
      ...refusing.map((muster) => this.#expectRefusal(muster, when)),
      ...wrongClocks.map((muster) => this.#expectNotice(muster, when)),
    ]);
    const found = [
      serving.length > 0 ? `${serving.map(({ name }) => name).join(", ")} served` : "",
      refusing.length > 0 ? `${refusing.map(({ name }) => name).join(", ")} refused` : "",
    ].filter((each) => each !== "");
    return `${found.join(" and ")} after ${Math.round(performance.now() - begun)} ms; `;
  }

  async #expectServing(
    muster: StoreMuster,
    { withinMs, when }: { readonly withinMs: number; readonly when: string },
  ): Promise<void> {
    const outcome = await untilDone(() => this.#write(muster), withinMs);
    if (outcome.kind === "done") return;
    this.#wrong.push(`${muster.name} does not serve within ${withinMs} ms ${when}: ${outcome.why}`);
  }

  /** It may have served a little longer. */
  async #expectRefusal(muster: StoreMuster, when: string): Promise<void> {
    const deadline = performance.now() + REFUSE_MS;
    let outcome: WriteOutcome;
    do {
      outcome = await this.#write(muster);
      if (outcome.kind !== "done" && outcome.why.startsWith("503")) return;
      await sleep(POLL_MS);
    } while (performance.now() < deadline);
    const last = outcome.kind === "done" ? "it served" : outcome.why;
    this.#wrong.push(`${muster.name} does not refuse with 503 within ${REFUSE_MS} ms ${when}: ${last}`);
  }

  async #expectNotice(muster: StoreMuster, when: string): Promise<void> {
    const deadline = performance.now() + NOTICE_MS;
    let said = "";
    do {
      const health = await muster.health().catch((error: unknown) => new Error("no answer", { cause: error }));
      if (typeof health === "string" && /clock/i.test(health)) return;
      said = typeof health === "string" ? health : `${health.message} (${health.cause})`;
      await sleep(POLL_MS);
    } while (performance.now() < deadline);
    this.#wrong.push(`${muster.name} says nothing of its clock in /health ${when}: ${said.trim()}`);
  }

  #write(muster: StoreMuster): Promise<WriteOutcome> {
    const { name: client, recorder, v2 } = this.#probe;
    const value = recorder.newValue(client);
    const write = { client, muster: muster.name, key: `${LOAD_PREFIX}probe/${muster.name}`, value };
    return recorder.write(write, () => v2.put(muster, write));
  }

  #note(lasting: readonly Lasting[], from: number): void {
    const to = performance.now() + RESENT_MS;
    for (const { serving, refusing, restarted } of lasting) {
      for (const muster of this.#stage.musters) {
        const answers = serving.includes(muster) || refusing.includes(muster);
        if (!answers || restarted.includes(muster)) this.#disturbances.push({ muster: muster.name, from, to });
      }
    }
  }

  /** A Muster ends by itself only where it cannot reach the store when it starts. */
  #refuseExits(what: string, faults: number): void {
    for (const muster of this.#stage.musters) {
      const exits = muster.takeExits();
      if (exits > 0 && faults === 1) this.#wrong.push(`${muster.name} ended ${exits} times by itself during ${what}`);
    }
  }

  #lateAnswers(operations: readonly Operation[]): readonly string[] {
    const late = operations.filter(({ begun, ended }) => ended - begun > ANSWER_MS);
    const excused = ({ muster, begun, ended }: Operation) =>
      this.#disturbances.some((each) => each.muster === muster && each.from < ended && begun < each.to);
    return late
      .filter((operation) => !excused(operation))
      .map(({ kind, key, client, muster, begun, ended }) => {
        const ms = `${Math.round(begun)}–${Math.round(ended)} ms`;
        return `${muster} let ${client} wait longer than ${ANSWER_MS} ms for its ${kind} of ${key} (${ms})`;
      });
  }
}
