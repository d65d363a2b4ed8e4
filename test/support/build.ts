import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));

/** Code that is generated from proto/, which tests import and tsc compiles. */
async function generate(): Promise<void> {
  await run(process.execPath, ["scripts/proto.mjs"], { cwd: root });
}

/**
 * Node 20 does not run TypeScript itself: tests that start processes start what is built. Types are not checked: that is
 * another stage of the gate.
 */
async function build(...flags: readonly string[]): Promise<void> {
  try {
    await run("npx", ["tsc", "-p", "tsconfig.build.json", "--noCheck", ...flags], { cwd: root });
  } catch (error) {
    // tsc tells what is wrong on stdout, which is not in the error's message.
    const told = error instanceof Error && "stdout" in error ? String(error.stdout) : "";
    throw new Error(`make src/ compile: ${told}`, { cause: error });
  }
}

/** A global set-up of vitest: writes src/proto/ and builds `dist/`, which bin/muster runs, once, before any worker starts. */
export async function setup(): Promise<void> {
  await generate();
  await build();
}

export interface Build extends AsyncDisposable {
  /** The folder that has what `dist` has. */
  readonly directory: string;
}

/** A build of one's own, within the project so that packages are found, for tests that may run beside others. */
export async function privateBuild(): Promise<Build> {
  const cache = join(root, ".cache");
  await mkdir(cache, { recursive: true });
  const directory = await mkdtemp(join(cache, "dist-"));
  const remove = () => rm(directory, { recursive: true, force: true });
  try {
    await build("--outDir", directory);
  } catch (error) {
    await remove();
    throw error;
  }
  return { directory, [Symbol.asyncDispose]: remove };
}
