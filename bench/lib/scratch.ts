/** Data directories, all below one folder of the run that goes with the process, however it ends. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";

/** A server that was killed just before may still be writing. */
const REMOVAL_RETRIES = 20;
const REMOVAL_RETRY_MS = 100;

export class Scratch {
  readonly #directory: string;

  /** Makes the run's folder in `parent`. */
  constructor(parent: string) {
    mkdirSync(parent, { recursive: true });
    this.#directory = mkdtempSync(join(parent, "run-"));
    process.once("exit", () => remove(this.#directory));
  }

  /** A new empty directory. */
  directory(name: string): string {
    return mkdtempSync(join(this.#directory, `${name}-`));
  }

  /** Removes one before the run ends. */
  remove(directory: string): void {
    remove(directory);
  }
}

function remove(directory: string): void {
  rmSync(directory, { recursive: true, force: true, maxRetries: REMOVAL_RETRIES, retryDelay: REMOVAL_RETRY_MS });
}
