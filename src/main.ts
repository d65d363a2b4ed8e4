/** The process entry: runs the command, ends with its exit code. */
import { runMuster } from "./cli/program.ts";

// A reader that has gone (`muster serve | head -1`) is no reason to stop serving.
process.stdout.on("error", () => undefined);

const code = await runMuster({
  args: process.argv.slice(2),
  env: process.env,
  stdout: (text) => process.stdout.write(text),
  stderr: (text) => process.stderr.write(text),
});
process.exit(code);
