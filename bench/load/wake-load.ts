/** Lets many wait and measures how long it takes from the write that ends their waits until the last of them knows. */
import { type Answer, Connection, requestText } from "./connection.ts";
import type { WaitJob, WakeJob, WakeResult } from "./jobs.ts";

/** What every waiter must be told; etcd says `set` or `create`. */
const NEWS = /"action":"(create|set)"/;

/** Connections that are opened at a time: more would overrun the server's queue of new ones. */
const OPENED_AT_ONCE = 100;

/** Those who wait on one server, and one more who writes. */
export class Waiters {
  readonly #url: string;
  readonly #connections: Connection[] = [];
  readonly #broken: Promise<never>;
  #break: (error: Error) => void = () => undefined;
  /** When each had its answer. */
  readonly #told: number[] = [];
  #onTold: () => void = () => undefined;

  private constructor(url: string) {
    this.#url = url;
    this.#broken = new Promise<never>((_resolve, reject) => {
      this.#break = reject;
    });
    // It may come when nobody listens.
    this.#broken.catch(() => undefined);
  }

  /** Resolves when the server has told every one of them that it waits. */
  static async stand(job: WaitJob): Promise<Waiters> {
    const waiters = new Waiters(job.url);
    try {
      await Promise.race([waiters.#begin(job), waiters.#broken]);
      return waiters;
    } catch (error) {
      waiters.close();
      throw error;
    }
  }

  /** Sends the write; resolves when its answer and everybody's have come. */
  async wake({ path, body }: WakeJob): Promise<WakeResult> {
    if (this.#told.length > 0) throw new Error("a wait must not end before the write");
    const [writer] = this.#connections;
    if (writer === undefined) throw new Error("open at least one connection");
    const write = requestText(new URL(this.#url).host, { method: "PUT", path, body });
    const everybody = new Promise<void>((resolve) => {
      this.#onTold = () => {
        if (this.#told.length === this.#connections.length - 1) resolve();
      };
    });
    const begun = performance.now();
    const written = new Promise<number>((resolve) => {
      writer.send(write, ({ status, body: answer }) => {
        if (status >= 300) this.#break(new Error(`the write was answered ${status} ${answer}`));
        resolve(performance.now() - begun);
      });
    });
    const [writtenMs] = await Promise.race([Promise.all([written, everybody]), this.#broken]);
    return { writtenMs, firstMs: (this.#told[0] ?? 0) - begun, lastMs: (this.#told.at(-1) ?? 0) - begun };
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }

  async #begin({ waiters, waitPath }: WaitJob): Promise<void> {
    while (this.#connections.length < waiters + 1) {
      const missing = Math.min(OPENED_AT_ONCE, waiters + 1 - this.#connections.length);
      const open = () => Connection.open(this.#url, this.#break);
      this.#connections.push(...(await Promise.all(Array.from({ length: missing }, open))));
    }
    const wait = requestText(new URL(this.#url).host, { method: "GET", path: waitPath });
    await Promise.all(this.#connections.slice(1).map((connection) => this.#wait(connection, wait)));
  }

  #wait(connection: Connection, request: string): Promise<void> {
    return new Promise((stands) => {
      connection.wait(request, { onHead: stands, onAnswer: (answer) => this.#tell(answer) });
    });
  }

  #tell({ status, body }: Answer): void {
    this.#told.push(performance.now());
    if (!NEWS.test(body)) this.#break(new Error(`a waiter was told ${status} ${body}`));
    this.#onTold();
  }
}
