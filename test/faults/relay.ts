/** What a Muster of a fault run has between itself and its etcds, so that their answers can be lost while they are told all. */
import { fileURLToPath } from "node:url";
import type { RunningProcess } from "../support/processes.ts";
import type { Place } from "./place.ts";

const RELAY = fileURLToPath(new URL("relay-process.mjs", import.meta.url));
const ORDER_TIMEOUT_MS = 30_000;

export class Relay implements AsyncDisposable {
  /** `host:port` of each, in the order of what they lead to. */
  readonly endpoints: readonly string[];
  readonly #process: RunningProcess;
  readonly #control: string;

  private constructor(process: RunningProcess, endpoints: readonly string[], control: string) {
    this.#process = process;
    this.endpoints = endpoints;
    this.#control = control;
  }

  /** In the place of who uses it, so that cut links are cut for it as well. `targets`: `host:port` each. */
  static async start(place: Place, targets: readonly string[]): Promise<Relay> {
    const [controlPort, ...ports] = await place.ports(targets.length + 1);
    const ways = targets.map((target, index) => `${ports[index]}=${target}`);
    const process = await place.start(globalThis.process.execPath, [RELAY, place.address, `${controlPort}`, ...ways]);
    try {
      await process.waitForOutput(/relay: up/);
    } catch (error) {
      await process.stop("SIGKILL");
      throw error;
    }
    const endpoints = ports.map((port) => `${place.address}:${port}`);
    return new Relay(process, endpoints, `http://${place.address}:${controlPort}`);
  }

  /** From now on what is sent arrives, and what is answered does not. */
  loseAnswers(): Promise<void> {
    return this.#order("lose");
  }

  /** Ends all connections: what was not answered never is. New ones are whole. */
  breakConnections(): Promise<void> {
    return this.#order("break");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process.stop("SIGKILL");
  }

  async #order(what: "lose" | "break"): Promise<void> {
    const signal = AbortSignal.timeout(ORDER_TIMEOUT_MS);
    const answer = await fetch(`${this.#control}/${what}`, { method: "POST", signal });
    await answer.body?.cancel();
    if (!answer.ok) throw new Error(`the relay does not know "${what}"`);
  }
}
