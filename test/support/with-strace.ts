import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, test } from "vitest";

const run = promisify(execFile);
const script = fileURLToPath(new URL("../../scripts/strace.mjs", import.meta.url));

/** A strace that works on this machine. */
export interface Strace {
  readonly strace: string;
  /** What its process needs beside the test's own environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** A group of tests that need strace; where there is none, or the kernel lets nobody trace, one skipped test says so. */
export async function describeWithStrace(title: string, define: (strace: Strace) => void): Promise<void> {
  const found = await findStrace();
  if (typeof found === "string") {
    test.skip(`${title}: skipped: ${found}`, () => {});
  } else {
    describe(title, () => define(found));
  }
}

/** strace, or why there is none. With CI=true it is an error that it could not be brought, but not that it may not run. */
async function findStrace(): Promise<Strace | string> {
  if (process.platform !== "linux") {
    return "only Linux can tell what a process writes";
  }
  let found: Strace;
  try {
    found = parse((await run(process.execPath, [script])).stdout);
  } catch (error) {
    if (process.env.CI === "true") {
      throw new Error("install strace: CI must test what a power cut leaves", { cause: error });
    }
    console.warn(error instanceof Error ? error.message : error);
    return "no strace on PATH, and Debian's could not be fetched (node scripts/strace.mjs says why)";
  }
  try {
    await run(found.strace, ["-f", "-o", "/dev/null", "true"], { env: { ...process.env, ...found.env } });
    return found;
  } catch {
    return "this machine lets no process trace another (ptrace)";
  }
}

function parse(line: string): Strace {
  const answer: unknown = JSON.parse(line);
  const field = (name: string): string => {
    const value: unknown = typeof answer === "object" && answer !== null ? Reflect.get(answer, name) : undefined;
    if (typeof value !== "string") {
      throw new Error(`let scripts/strace.mjs print "${name}" as a string: it printed ${line}`);
    }
    return value;
  };
  const libraries = field("libraries");
  return { strace: field("strace"), env: libraries === "" ? {} : { LD_LIBRARY_PATH: libraries } };
}
