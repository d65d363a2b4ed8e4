/** The load generator's process: runs the jobs that its parent sends, one at a time. */
import { runGrpcLoad } from "./grpc-load.ts";
import { GrpcWatchers } from "./grpc-watchers.ts";
import { runHttpLoad } from "./http-load.ts";
import { type Job, job, type Reply, type WakeJob } from "./jobs.ts";
import { Waiters } from "./wake-load.ts";

/** Those of the latest wait job. */
let waiters: Waiters | undefined;

/** Those of the latest watch job. */
let watchers: GrpcWatchers | undefined;

process.on("message", (message) => {
  void answer(message).then((reply) => process.send?.(reply));
});
process.on("disconnect", () => process.exit());
// Ctrl-C reaches it too; its parent says when to end.
process.on("SIGINT", () => undefined);

async function answer(message: unknown): Promise<Reply> {
  try {
    return { result: await run(job.parse(message)) };
  } catch (error) {
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

async function run(asked: Job): Promise<unknown> {
  switch (asked.kind) {
    case "http":
      return runHttpLoad(asked);
    case "wait":
      waiters = await Waiters.stand(asked);
      return null;
    case "wake":
      return wake(asked);
    case "grpc":
      return runGrpcLoad(asked);
    case "watch":
      watchers = await GrpcWatchers.stand(asked);
      return null;
    case "tell":
      if (watchers === undefined) throw new Error("let somebody watch first");
      return watchers.tell(asked);
    case "unwatch":
      watchers?.close();
      watchers = undefined;
      return null;
  }
}

async function wake(asked: WakeJob): Promise<unknown> {
  if (waiters === undefined) throw new Error("let somebody wait first");
  try {
    return await waiters.wake(asked);
  } finally {
    waiters.close();
    waiters = undefined;
  }
}
