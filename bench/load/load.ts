/** The load generator, in a process of its own so that it shares no thread with what is measured. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { benchScript } from "../lib/project.ts";
import {
  type GrpcJob,
  type GrpcResult,
  grpcResult,
  type HttpJob,
  type HttpResult,
  httpResult,
  type Job,
  reply,
  type TellJob,
  type TellResult,
  tellResult,
  type WaitJob,
  type WakeJob,
  type WakeResult,
  type WatchJob,
  wakeResult,
} from "./jobs.ts";

export class Load implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<never>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = once(child, "exit").then(() => {
      throw new Error("the load generator ended");
    });
    // Nobody need be waiting when it does.
    this.#ended.catch(() => undefined);
  }

  static async start(): Promise<Load> {
    const child = fork(benchScript("load/load-main"));
    await once(child, "spawn");
    return new Load(child);
  }

  async http(job: Omit<HttpJob, "kind">): Promise<HttpResult> {
    return httpResult.parse(await this.#run({ ...job, kind: "http" }));
  }

  /** Lets many wait; resolves when all of them do. Their memory is this process's, not the server's. */
  async wait(job: Omit<WaitJob, "kind">): Promise<void> {
    await this.#run({ ...job, kind: "wait" });
  }

  /** Ends their wait with a write. */
  async wake(job: Omit<WakeJob, "kind">): Promise<WakeResult> {
    return wakeResult.parse(await this.#run({ ...job, kind: "wake" }));
  }

  async grpc(job: Omit<GrpcJob, "kind">): Promise<GrpcResult> {
    return grpcResult.parse(await this.#run({ ...job, kind: "grpc" }));
  }

  /** Lets many watch a key; resolves when all watches stand. */
  async watch(job: Omit<WatchJob, "kind">): Promise<void> {
    await this.#run({ ...job, kind: "watch" });
  }

  /** Puts the key that is watched; resolves when every watcher was told of every put. */
  async tell(job: Omit<TellJob, "kind">): Promise<TellResult> {
    return tellResult.parse(await this.#run({ ...job, kind: "tell" }));
  }

  /** Ends the watches. */
  async unwatch(): Promise<void> {
    await this.#run({ kind: "unwatch" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    await this.#ended.catch(() => undefined);
  }

  async #run(job: Job): Promise<unknown> {
    if (this.#child.connected) this.#child.send(job);
    const [message] = await Promise.race([once(this.#child, "message"), this.#ended]);
    const answer = reply.parse(message);
    if ("error" in answer) throw new Error(`the load generator failed: ${answer.error}`);
    return answer.result;
  }
}
