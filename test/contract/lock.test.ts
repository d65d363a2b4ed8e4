import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { openLmdbEngine } from "../../src/engine/lmdb/lmdb-engine.ts";
import { type Build, privateBuild } from "../support/build.ts";
import { type RunningProcess, startProcess } from "../support/processes.ts";
import { apply, keysOf, put } from "./requests.ts";

const child = fileURLToPath(new URL("lmdb-child.mjs", import.meta.url));
const ROUNDS = 10;

/** A process with PID 1, a network and a user of its own: what a container is to another one. */
const CONTAINER = ["unshare", "--user", "--map-root-user", "--pid", "--net", "--fork"] as const;
const noContainer = await promisify(execFile)(CONTAINER[0], [...CONTAINER.slice(1), "true"]).then(
  () => undefined,
  (error: unknown) => `skipped: unshare cannot make namespaces here: ${error instanceof Error ? error.message : error}`,
);

let built: Build;
let directory: string;
beforeAll(async () => {
  built = await privateBuild();
  directory = await mkdtemp(join(tmpdir(), "muster-lock-"));
});
afterAll(async () => {
  await built[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

const open = () => openLmdbEngine({ directory, clock: systemClock });

/** Starts a process that opens the directory, and waits for what comes of it: `open …` or `failed …`. */
async function opener(container: readonly string[] = []): Promise<{ process: RunningProcess; said: string }> {
  const [command = "", ...parameters] = [...container, process.execPath, child, built.directory, directory, "lock"];
  const running = await startProcess(command, parameters);
  const [said] = await running.waitForOutput(/^(open|failed) .*\n/m);
  return { process: running, said };
}

async function expectRefused(said: string | Promise<unknown>): Promise<void> {
  const told =
    typeof said === "string" ? said : await said.then(String, (error) => `failed ${error.code} ${error.message}`);
  expect(told).toMatch(/^failed directoryInUse /);
  expect(told).toContain(directory);
}

describe("lock", () => {
  it("lock: the second process gets an error that names the directory, and does no harm to the first", async () => {
    const engine = await open();
    try {
      await apply(engine, put("a", "1"));
      await using second = (await opener()).process;
      await expectRefused(second.output());
      expect((await second.ended).code).toBe(1);
      await apply(engine, put("b", "1"));
      expect(await keysOf(engine)).toBe("a b");
    } finally {
      await engine.close();
    }
  });

  it("lock: the second opener within one process is refused too, and the first keeps its lock", async () => {
    const engine = await open();
    try {
      await expectRefused(open());
      await using other = (await opener()).process;
      await expectRefused(other.output());
    } finally {
      await engine.close();
    }
  });

  it("lock: after close, the next process opens at once", async () => {
    await (await open()).close();
    const { process: owner, said } = await opener();
    expect(said).toMatch(/^open /);
    await expectRefused(open());
    await owner.stop("SIGKILL");
  });

  it(`lock: after kill -9 of the owner the next open works at once, ${ROUNDS} times`, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const { process: owner, said } = await opener();
      expect(said).toMatch(/^open /);
      owner.kill("SIGKILL");
      await owner.ended;
      await (await open()).close();
    }
  });

  describe.skipIf(noContainer !== undefined)(noContainer ?? "in containers", () => {
    /** The process that is 1 in there is the only child of `unshare`. */
    async function killInside(container: RunningProcess): Promise<void> {
      const children = await readFile(`/proc/${container.pid}/task/${container.pid}/children`, "utf8");
      process.kill(Number(children.trim()), "SIGKILL");
      await container.ended;
    }

    it("lock: holds between two that are both process 1", async () => {
      const { process: owner, said } = await opener(CONTAINER);
      expect(said).toMatch(/^open /);
      await using second = (await opener(CONTAINER)).process;
      await expectRefused(second.output());
      await expectRefused(open());
      await killInside(owner);
    });

    it(`lock: after kill -9 of one the other opens at once, ${ROUNDS} times`, async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const { process: owner, said } = await opener(CONTAINER);
        expect(said).toMatch(/^open /);
        await killInside(owner);
      }
      await (await open()).close();
    });
  });
});
