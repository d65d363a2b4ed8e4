import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
/** The command. */
export const MUSTER = fileURLToPath(new URL("../../bin/muster", import.meta.url));

/** Runs the real `bin/muster` until it ends; what it printed. Rejects where it fails. */
export async function runMuster(...parameters: readonly string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [MUSTER, ...parameters]);
  return stdout;
}
