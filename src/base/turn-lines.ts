/**
 * Gathers the lines that one turn of the event loop logs and writes them with one system call at its end: under load that
 * call is most of what a line costs.
 */
import type { DestinationStream } from "pino";

/** Beyond so many characters, lines are written at once. */
const MOST_GATHERED = 65_536;

export class TurnLines implements DestinationStream {
  readonly #destination: DestinationStream;
  #gathered = "";

  /** `destination` must have written what it is given before its call returns. */
  constructor(destination: DestinationStream) {
    this.#destination = destination;
  }

  write(line: string): void {
    if (this.#gathered === "") setImmediate(() => this.flushSync());
    this.#gathered += line;
    if (this.#gathered.length > MOST_GATHERED) this.flushSync();
  }

  /** Writes what is gathered now: before the process ends, and after a fatal line (pino calls it). */
  flushSync(): void {
    const lines = this.#gathered;
    this.#gathered = "";
    if (lines !== "") this.#destination.write(lines);
  }
}
