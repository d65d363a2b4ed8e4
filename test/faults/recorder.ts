import type { Found, Operation, Read, Write, WriteOutcome } from "./history.ts";

/** Who asks whom for what, before the answer is known. */
export interface Question {
  readonly client: string;
  readonly muster: string;
  readonly key: string;
}

export interface WriteQuestion extends Question {
  readonly value: string;
  readonly replaces?: number;
}

/** What a write came to: its outcome, and its key where the server chose that. */
export interface Written {
  readonly outcome: WriteOutcome;
  readonly key?: string;
}

/** Keeps what clients do and are told, with the times. */
export class Recorder {
  readonly operations: Operation[] = [];
  /** Answers that no client should get, and answers that took too long: one sentence each. */
  readonly oddities: string[] = [];
  #values = 0;

  now(): number {
    return performance.now();
  }

  /** A value that no other write has. */
  newValue(client: string): string {
    this.#values += 1;
    return `${client}.${this.#values}`;
  }

  async write(question: WriteQuestion, send: () => Promise<Written>): Promise<WriteOutcome> {
    const begun = this.now();
    const { outcome, key } = await send();
    const write: Write = { kind: "write", ...question, key: key ?? question.key, begun, ended: this.now(), outcome };
    this.operations.push(write);
    return outcome;
  }

  async read(question: Question, send: () => Promise<Found | undefined>): Promise<Found | undefined> {
    const begun = this.now();
    const found = await send();
    const read: Read = {
      kind: "read",
      ...question,
      begun,
      ended: this.now(),
      ...(found === undefined ? {} : { found }),
    };
    this.operations.push(read);
    return found;
  }
}
