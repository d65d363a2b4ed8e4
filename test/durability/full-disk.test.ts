import { join } from "node:path";
import { expect, it, onTestFailed } from "vitest";
import { until } from "../support/until.ts";
import { V3Client } from "../support/v3-client.ts";
import { type Answer, expectNoStart, Ledger, ServedMuster } from "./served-muster.ts";
import { SmallDisk, whyNoMount } from "./small-disk.ts";

const DISK_MIB = 8;
const RECOVERY_TIMEOUT_MS = 60_000;
/** Pages that are free in the file take writes on a full disk for a while; larger values use them up sooner. */
const VALUE_BYTES = 3000;
const MOST_WRITES = 500;
/** Room for the first files of a store, but not for all of them. */
const SOME_BYTES = 16_384;
/** What is in the store that is to be defragmented, and room for the beginning of its copy. */
const DEFRAGMENTED_WRITES = 20;
const LARGE_VALUE_BYTES = 10_000;
const ROOM_FOR_SOME_BYTES = 131_072;
/** gRPC's. */
const UNAVAILABLE = 14;
const TIMEOUT_MS = 300_000;

/** Writes until all three kinds of write are refused in one round, and gives that round's answers. */
async function writeUntilRefused(ledger: Ledger, muster: ServedMuster): Promise<readonly Answer[]> {
  for (let round = 0; round < MOST_WRITES; round++) {
    const answers = await ledger.write(muster, VALUE_BYTES);
    expect([200, 201, 503]).toEqual(expect.arrayContaining(answers.map(({ status }) => status)));
    if (answers.every(({ status }) => status === 503)) {
      return answers;
    }
  }
  throw new Error(`${MOST_WRITES} rounds of writes fitted on a full disk`);
}

async function untilWell(muster: ServedMuster): Promise<void> {
  const attempt = async () => ((await muster.health()).every(({ status }) => status === 200) ? true : undefined);
  await until(attempt, { timeoutMs: RECOVERY_TIMEOUT_MS, what: "/health" });
}

/** Refused with the reason; reads, and what was acknowledged, as ever. */
async function expectOnlyReads(ledger: Ledger, muster: ServedMuster): Promise<void> {
  for (const { text } of await writeUntilRefused(ledger, muster)) {
    expect(text).toMatch(/Make the data directory .* writable: .*0 MiB are free there/);
  }
  await until(async () => ((await muster.health()).every(({ status }) => status === 503) ? true : undefined), {
    timeoutMs: RECOVERY_TIMEOUT_MS,
    what: "/health to be 503",
  });
  for (const { text } of await muster.health()) {
    expect(text).toMatch(/0 MiB are free there/);
  }
  await ledger.expectKept(muster);
}

async function start(disk: SmallDisk): Promise<ServedMuster> {
  const muster = await ServedMuster.start({ directory: join(disk.path, "data"), by: disk.inside });
  onTestFailed(() => console.error(`--- muster:\n${muster.process.output().slice(-20_000)}`));
  return muster;
}

const why = await whyNoMount();

it.skipIf(why !== undefined)(
  `muster serve on a full disk: refuses writes, reads, recovers, loses nothing${why === undefined ? "" : `: skipped: ${why}`}`,
  async () => {
    await using disk = await SmallDisk.mount(DISK_MIB);
    const ledger = new Ledger();
    {
      await using muster = await start(disk);
      for (let count = 0; count < 20; count++) {
        await ledger.write(muster);
      }
      await disk.fill();
      await expectOnlyReads(ledger, muster);
      await disk.free();
      await untilWell(muster);
      expect((await ledger.write(muster)).map(({ status }) => status)).toEqual([200, 201, 201]);
      await ledger.expectKept(muster);
      await disk.fill();
      await expectOnlyReads(ledger, muster);
    }
    // Killed and started again while the disk is still full.
    {
      await using muster = await start(disk);
      await expectOnlyReads(ledger, muster);
    }
    // The same from a backup without LMDB's file of locks, for which there is no room.
    await disk.remove("data/lock.mdb");
    await disk.fill();
    const refused = await expectNoStart({ directory: join(disk.path, "data"), by: disk.inside });
    expect(refused.output).toMatch(/^muster: Free some space for the data directory .*\n$/);
    await disk.free();
    await using muster = await start(disk);
    await untilWell(muster);
    expect((await ledger.write(muster)).map(({ status }) => status)).toEqual([200, 201, 201]);
    await ledger.expectKept(muster);
  },
  TIMEOUT_MS,
);

it.skipIf(why !== undefined)(
  `muster serve that is to defragment without room for it: says so, leaves no copy, goes on, and does it when there is room${why === undefined ? "" : `: skipped: ${why}`}`,
  async () => {
    await using disk = await SmallDisk.mount(DISK_MIB);
    const ledger = new Ledger();
    await using muster = await start(disk);
    for (let count = 0; count < DEFRAGMENTED_WRITES; count++) {
      await ledger.write(muster, LARGE_VALUE_BYTES);
    }
    await disk.fill();
    await disk.freeSome(ROOM_FOR_SOME_BYTES);
    using client = new V3Client(new URL(muster.clientUrl).host);
    expect(await client.call("Maintenance/Defragment", {})).toMatchObject({
      code: UNAVAILABLE,
      details: expect.stringMatching(/Make the data directory .* writable: .*No space left on device/),
    });
    expect((await disk.names("data")).filter((name) => name.startsWith("snapshot-"))).toEqual([]);
    await ledger.expectKept(muster);
    await disk.free();
    await untilWell(muster);
    expect((await ledger.write(muster)).map(({ status }) => status)).toEqual([200, 201, 201]);
    expect(await client.call("Maintenance/Defragment", {})).toMatchObject({ ok: true });
    await ledger.expectKept(muster);
    expect((await ledger.write(muster)).map(({ status }) => status)).toEqual([200, 201, 201]);
  },
  TIMEOUT_MS,
);

it.skipIf(why !== undefined)(
  `muster serve that finds a full disk at its very first start: says so, and starts when there is room${why === undefined ? "" : `: skipped: ${why}`}`,
  async () => {
    await using disk = await SmallDisk.mount(DISK_MIB);
    await disk.fill();
    await disk.freeSome(SOME_BYTES);
    const { output, code } = await expectNoStart({ directory: join(disk.path, "data"), by: disk.inside });
    expect(code).toBe(1);
    expect(output).toMatch(/^muster: Free some space for the data directory ".*", then start Muster again: .*\n$/);
    await disk.free();
    await using muster = await start(disk);
    await untilWell(muster);
  },
  TIMEOUT_MS,
);

it.skipIf(why !== undefined)(
  `muster serve on a read-only disk: does not start and says why, and finds all when it is writable again${why === undefined ? "" : `: skipped: ${why}`}`,
  async () => {
    await using disk = await SmallDisk.mount(DISK_MIB);
    const ledger = new Ledger();
    {
      await using muster = await start(disk);
      await ledger.write(muster);
    }
    await disk.remount("ro");
    const { output, code } = await expectNoStart({ directory: join(disk.path, "data"), by: disk.inside });
    expect(code).toBe(1);
    expect(output).toMatch(
      /^muster: Mount the file system of the data directory ".*" so that it can be written, then start .*EROFS.*\n$/,
    );
    await disk.remount("rw");
    await using muster = await start(disk);
    await ledger.expectKept(muster);
    expect((await ledger.write(muster)).map(({ status }) => status)).toEqual([200, 201, 201]);
  },
  TIMEOUT_MS,
);
