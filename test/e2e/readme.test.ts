import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { consoleBlocks, outputPattern } from "../support/console-blocks.ts";
import { MusterProcess } from "../support/muster-process.ts";
import { ShellSession } from "../support/shell-session.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";

const README = fileURLToPath(new URL("../../README.md", import.meta.url));
const COMMAND_TIMEOUT_MS = 60_000;

await describeWithEtcd("README.md", (binaries) => {
  // The README shows the default ports; the test's Muster has its own.
  test.skipIf(!existsSync(README))("each session that it shows goes as shown", async () => {
    const blocks = consoleBlocks(await readFile(README, "utf8"));
    expect(blocks.length).toBeGreaterThan(0);
    for (const block of blocks) {
      await using muster = await MusterProcess.start();
      const place = (text: string) =>
        text
          .replaceAll("127.0.0.1:8087", new URL(muster.publicUrl).host)
          .replaceAll("127.0.0.1:8088", new URL(muster.clientUrl).host);
      const directory = await mkdtemp(join(tmpdir(), "muster-readme-"));
      const path = [dirname(binaries.etcd), dirname(binaries.etcdctl), process.env.PATH].join(delimiter);
      const shell = new ShellSession({ directory, env: { PATH: path } });
      try {
        for (const { command, output } of block) {
          expect(await shell.run(place(command), COMMAND_TIMEOUT_MS)).toMatch(outputPattern(output.map(place)));
        }
      } finally {
        await shell.stop();
        await rm(directory, { recursive: true, force: true });
      }
    }
  });
});
