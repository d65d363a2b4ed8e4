/** The load generator's process: runs the jobs that its parent sends, one at a time. */
import { runHttpLoad } from "./http-load.ts";
import { job, type Reply } from "./jobs.ts";
import { runWakeLoad } from "./wake-load.ts";

process.on("message", (message) => {
  void answer(message).then((reply) => process.send?.(reply));
});
process.on("disconnect", () => process.exit());
// Ctrl-C reaches it too; its parent says when to end.
process.on("SIGINT", () => undefined);

async function answer(message: unknown): Promise<Reply> {
  try {
    const asked = job.parse(message);
    return { result: await (asked.kind === "http" ? runHttpLoad(asked) : runWakeLoad(asked)) };
  } catch (error) {
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
