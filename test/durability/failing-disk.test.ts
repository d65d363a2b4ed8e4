import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFailed, onTestFinished } from "vitest";
import { startProcess } from "../support/processes.ts";
import { until } from "../support/until.ts";
import { V3Client } from "../support/v3-client.ts";
import { describeWithStrace, type Strace } from "../support/with-strace.ts";
import { Ledger, ServedMuster } from "./served-muster.ts";

const RECOVERY_TIMEOUT_MS = 60_000;
const TIMEOUT_MS = 180_000;
const ROUNDS = 12;
/** gRPC's. */
const UNAVAILABLE = 14;

/** A muster whose disk fails from the first call on that matches, until the answer is called. */
async function failing({ strace, env }: Strace, muster: ServedMuster, inject: string): Promise<() => Promise<void>> {
  const calls = inject.slice(0, inject.indexOf(":"));
  const flags = [
    "-f",
    "-p",
    `${muster.process.pid}`,
    "-o",
    "/dev/null",
    "-e",
    `trace=${calls}`,
    "-e",
    `inject=${inject}`,
  ];
  const tracer = await startProcess(strace, flags, { env });
  await tracer.waitForOutput(/attached/);
  return () => tracer.stop("SIGINT");
}

async function start(directory: string): Promise<ServedMuster> {
  const muster = await ServedMuster.start({ directory });
  onTestFailed(() => console.error(`--- muster:\n${muster.process.output().slice(-20_000)}`));
  return muster;
}

async function newDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "muster-failing-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Reads a token and its key without pause, until the answer is called: it gives what was not answered as it should be. */
function keepReading(ledger: Ledger, muster: ServedMuster): () => Promise<readonly string[]> {
  const urls = [
    ...[...ledger.tokens.keys()].map((path) => muster.publicUrl + path),
    ...[...ledger.keys.keys()].map((path) => muster.clientUrl + path),
  ];
  const failed: string[] = [];
  let over = false;
  const read = async () => {
    while (!over) {
      for (const url of urls) {
        const { status, text } = await muster.get(url);
        if (status !== 200) {
          failed.push(`${status} ${text}`);
        }
      }
    }
  };
  const running = Promise.all([read(), read(), read()]);
  return async () => {
    over = true;
    await running;
    return failed;
  };
}

async function untilHealth(muster: ServedMuster, wanted: number): Promise<string> {
  const attempt = async () => {
    const answers = await muster.health();
    return answers.every(({ status }) => status === wanted) ? answers.map(({ text }) => text).join("\n") : undefined;
  };
  return until(attempt, { timeoutMs: RECOVERY_TIMEOUT_MS, what: `/health to be ${wanted}` });
}

async function expectWrites(ledger: Ledger, muster: ServedMuster): Promise<void> {
  expect((await ledger.write(muster)).map(({ status }) => status)).toEqual([200, 201, 201]);
}

await describeWithStrace("muster serve on a disk that fails under it", (strace) => {
  it.each([
    ["turned read-only", "pwrite64,pwritev,ftruncate,fallocate,fdatasync,fsync:error=EROFS", /Read-only file system/],
    ["does not sync any more", "fdatasync,fsync:error=EIO", /Input\/output error/],
    ["takes no meta pages any more", "pwrite64:error=EIO", /Input\/output error/],
  ])(
    "%s: refuses writes and says why, reads, is well again without a restart, and loses nothing",
    async (_what, inject, reason) => {
      const directory = await newDirectory();
      const ledger = new Ledger();
      {
        await using muster = await start(directory);
        await expectWrites(ledger, muster);
        const mend = await failing(strace, muster, inject);
        const reading = keepReading(ledger, muster);
        for (let round = 0; round < ROUNDS; round++) {
          for (const { status, text } of await ledger.write(muster)) {
            expect({ status, text }).toEqual({ status: 503, text: expect.stringMatching(reason) });
          }
        }
        expect(await untilHealth(muster, 503)).toMatch(reason);
        expect(await reading(), "reads that failed meanwhile").toEqual([]);
        await ledger.expectKept(muster);
        await mend();
        await untilHealth(muster, 200);
        await expectWrites(ledger, muster);
        await ledger.expectKept(muster);
      }
      await using again = await start(directory);
      await ledger.expectKept(again);
      await expectWrites(ledger, again);
    },
    TIMEOUT_MS,
  );

  it.each(["rename,renameat,renameat2:error=EIO", "fsync:error=EIO"])(
    "while it is to defragment (%s): says so, goes on as it was, and does it when the disk is well",
    async (inject) => {
      const directory = await newDirectory();
      const ledger = new Ledger();
      {
        await using muster = await start(directory);
        await expectWrites(ledger, muster);
        using client = new V3Client(new URL(muster.clientUrl).host);
        const mend = await failing(strace, muster, inject);
        expect(await client.call("Maintenance/Defragment", {})).toMatchObject({
          code: UNAVAILABLE,
          details: expect.stringMatching(/Make the data directory/),
        });
        await expectWrites(ledger, muster);
        await mend();
        expect((await readdir(directory)).filter((name) => name.startsWith("snapshot-"))).toEqual([]);
        expect(await client.call("Maintenance/Defragment", {})).toMatchObject({ ok: true });
        await expectWrites(ledger, muster);
        await ledger.expectKept(muster);
      }
      await using again = await start(directory);
      await ledger.expectKept(again);
    },
    TIMEOUT_MS,
  );

  it.each(["fdatasync:error=EIO:when=1+3", "pwrite64:error=EIO:when=2+7", "pwrite64,fdatasync:error=EIO:when=3+5"])(
    "now and then (%s): whatever was acknowledged is kept, whatever was refused is not there",
    async (inject) => {
      const directory = await newDirectory();
      const ledger = new Ledger();
      {
        await using muster = await start(directory);
        await expectWrites(ledger, muster);
        const mend = await failing(strace, muster, inject);
        const statuses: number[] = [];
        for (let round = 0; round < ROUNDS; round++) {
          statuses.push(...(await ledger.write(muster)).map(({ status }) => status));
        }
        await mend();
        expect([...new Set(statuses)].sort()).toEqual([200, 201, 503]);
        await untilHealth(muster, 200);
        await expectWrites(ledger, muster);
        await ledger.expectKept(muster);
      }
      await using again = await start(directory);
      await ledger.expectKept(again);
    },
    TIMEOUT_MS,
  );
});
