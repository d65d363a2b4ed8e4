/** Runs a script of bench/ to its end, in a process of its own that does not outlive this one. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { benchScript } from "./project.ts";

const run = promisify(execFile);

/** What the script wrote to stdout. Rejects, with what it wrote to stderr, when it fails. */
export async function runScript(name: string, parameters: readonly (string | number)[]): Promise<string> {
  const running = run(process.execPath, [benchScript(name), ...parameters.map(String)]);
  const end = () => running.child.kill("SIGKILL");
  process.once("exit", end);
  try {
    return (await running).stdout;
  } finally {
    process.off("exit", end);
  }
}
