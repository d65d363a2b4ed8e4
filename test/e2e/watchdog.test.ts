/** The watchdog that all other end-to-end tests run under tells what it must, and nothing else. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { MusterProcess } from "../support/muster-process.ts";

/** Far beyond the limit: what threads were made to wait for a processor is taken off a hold in which nothing ran. */
const HOLD_MS = 1000;
/** Not far beyond it: of what the loop itself ran nothing is taken off. */
const BURN_MS = 300;

/** A module that holds the event loop when the process is sent SIGUSR2: asleep, so that a busy machine takes nothing off. */
const holdOnSignal = moduleOf(`
  process.on("SIGUSR2", () => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${HOLD_MS});
    process.stderr.write("held\\n");
  });
`);

/** A module that keeps a processor busy for BURN_MS of its time when the process is sent SIGUSR2, however long that takes. */
const burnOnSignal = moduleOf(`
  process.on("SIGUSR2", () => {
    const begun = process.cpuUsage();
    const burntUs = () => { const { user, system } = process.cpuUsage(begun); return user + system; };
    while (burntUs() < ${BURN_MS} * 1000);
    process.stderr.write("burnt\\n");
  });
`);

/** A module that waits without holding anything when the process is sent SIGUSR2. */
const idleOnSignal = moduleOf(`
  process.on("SIGUSR2", () => setTimeout(() => process.stderr.write("idled\\n"), ${HOLD_MS}));
`);

function moduleOf(source: string): string {
  return `data:text/javascript,${encodeURIComponent(source)}`;
}

test("a test fails when something held Muster's event loop for a second, and is told how long and what came last", async () => {
  const muster = await MusterProcess.start({ preloads: [holdOnSignal] });
  // It rejects, as it should, each time.
  onTestFinished(() => muster.stop().catch(() => {}));
  await muster.newToken(3);
  muster.signal("SIGUSR2");
  await muster.waitForOutput(/^held$/m);
  await muster.waitForOutput(/^loop-watchdog: held/m);
  await expect(muster.stop()).rejects.toThrow(
    /held muster's event loop\nloop-watchdog: held (?:[3-9]\d\d|\d{4,}) ms: .*GET \/new/,
  );
});

test("a test fails when Muster's event loop ran for 300 ms without a break, on a busy machine, too", async () => {
  const muster = await MusterProcess.start({ preloads: [burnOnSignal] });
  onTestFinished(() => muster.stop().catch(() => {}));
  await muster.newToken(3);
  muster.signal("SIGUSR2");
  await muster.waitForOutput(/^burnt$/m);
  await muster.waitForOutput(/^loop-watchdog: held/m);
  await expect(muster.stop()).rejects.toThrow(
    /held muster's event loop\nloop-watchdog: held (?:[2-9]\d\d|\d{4,}) ms: /,
  );
});

test("a Muster that idles, or is stopped and continued, holds nothing", async () => {
  await using muster = await MusterProcess.start({ preloads: [idleOnSignal] });
  await muster.newToken(3);
  muster.signal("SIGSTOP");
  await sleep(HOLD_MS);
  muster.signal("SIGCONT");
  muster.signal("SIGUSR2");
  await muster.waitForOutput(/^idled$/m);
  await muster.kill("SIGTERM");
  expect(muster.output()).not.toMatch(/loop-watchdog/);
});
