import type { Watch } from "../../src/engine/engine.ts";
import { eventLine } from "./requests.ts";

/** Reads a watch from the start on, as a reader that keeps up, and writes down what it is told. */
export class Listener {
  readonly told: string[] = [];
  readonly #watch: Watch;
  readonly #ended: Promise<void>;
  #look: () => void = () => {};
  #progressed = false;

  constructor(watch: Watch) {
    this.#watch = watch;
    this.#ended = this.#listen();
    // Whoever waits is told of a failure; until then it is not unhandled.
    this.#ended.catch(() => {});
  }

  /** Waits until it was told everything up to now. */
  async caughtUp(): Promise<void> {
    this.#progressed = false;
    this.#watch.requestProgress();
    await this.#until(() => this.#progressed);
  }

  /** Waits until it was told of `words`, and ends the watch. */
  async upTo(words: string): Promise<readonly string[]> {
    await this.#until(() => this.told.at(-1)?.includes(words) === true);
    this.#watch.close();
    return this.told;
  }

  close(): void {
    this.#watch.close();
  }

  async #until(done: () => boolean): Promise<void> {
    const met = new Promise<void>((resolve) => {
      this.#look = () => {
        if (done()) {
          resolve();
        }
      };
      this.#look();
    });
    const ended = this.#ended.then(() => {
      throw new Error(`the watch ended; it told:\n${this.told.join("\n")}`);
    });
    await Promise.race([met, ended]);
  }

  async #listen(): Promise<void> {
    for await (const message of this.#watch) {
      if (message.kind === "events") {
        this.told.push(...message.events.map(eventLine));
      } else {
        this.#progressed = true;
      }
      this.#look();
    }
  }
}
