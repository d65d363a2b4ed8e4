import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { describeWithStrace, type Strace } from "../support/with-strace.ts";
import { fateOf, randomFrom, writeAfterCut } from "./power-cut.ts";
import { DISK } from "./recording.ts";
import { Ledger, ServedMuster } from "./served-muster.ts";
import { type Moment, readTrace, STRACE_FORMAT, strings } from "./trace.ts";
import { FILE_CALLS, TracedFiles } from "./traced-files.ts";

const SEED = Number(process.env.MUSTER_TEST_SEED ?? Date.now() % 2 ** 31);
const ROUNDS = 12;
/** Each needs a start of the service. */
const CUTS = 6;
const TIMEOUT_MS = 240_000;

/** An answer that says that something was written, as it goes out. */
function isAcknowledgement({ half, call }: Moment): boolean {
  if (half !== "entered" || (call.name !== "write" && call.name !== "writev")) {
    return false;
  }
  return /^HTTP\/1\.1 20[01] /.test(strings(call)[0]?.toString("latin1") ?? "");
}

/** Runs the service under strace, writes to it, and kills it. */
async function record(
  { strace, env }: Strace,
  path: string,
): Promise<{ moments: readonly Moment[]; ledgers: Ledger[] }> {
  const trace = join(path, "trace");
  const calls = FILE_CALLS.map((name) => `?${name}`).join(",");
  // With -D the traced process is ours to kill, and strace ends with it.
  const by = [strace, "-D", ...STRACE_FORMAT, "-e", `trace=${calls}`, "-o", trace];
  const settings = { env: { ...env, UV_USE_IO_URING: "0" } };
  const ledgers: Ledger[] = [];
  await using muster = await ServedMuster.start({ directory: join(path, DISK), by, ...settings });
  const ledger = new Ledger();
  for (let round = 0; round < ROUNDS; round++) {
    await ledger.write(muster);
    ledgers.push(ledger.copy());
  }
  await muster.kill();
  return { moments: await readTrace(trace), ledgers };
}

await describeWithStrace("muster serve: a power cut", (strace) => {
  it(
    `takes back no token, member or key whose answer had gone out (seed ${SEED})`,
    async () => {
      const path = await mkdtemp(join(tmpdir(), "muster-power-"));
      onTestFinished(() => rm(path, { recursive: true, force: true }));
      const { moments, ledgers } = await record(strace, path);
      const random = randomFrom(SEED);
      const files = new TracedFiles(path);
      const cuts = new Set(Array.from({ length: CUTS }, () => Math.floor(random() * ROUNDS)));
      let answers = 0;
      for (const moment of moments) {
        files.take(moment);
        answers += isAcknowledgement(moment) ? 1 : 0;
        // A round is three answers.
        const round = answers / 3 - 1;
        if (isAcknowledgement(moment) && cuts.has(round)) {
          const target = join(path, `after-${round}`);
          await writeAfterCut(files.root, target, fateOf(round % 2 === 0 ? "nothing" : "torn", random));
          await using again = await ServedMuster.start({ directory: join(target, DISK) });
          await ledgers[round]?.expectKept(again);
        }
      }
      expect(answers).toBe(ROUNDS * 3);
    },
    TIMEOUT_MS,
  );
});
