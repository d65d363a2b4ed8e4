/** A connection within the process: what is written at one end is read at the other. */
import { Duplex } from "node:stream";

/** By which connection of the network a bridged one came. */
export interface BridgedFrom {
  readonly remoteAddress: string | undefined;
  readonly encrypted: boolean;
  /** The connection itself, the same for all that came by it. */
  readonly connection: object;
}

/**
 * One end of such a connection. To node:http's server it is a socket like others; `from` says who is behind it, as
 * `remoteAddress` and `encrypted` do on a real one.
 */
export class BridgedSocket extends Duplex {
  readonly from: BridgedFrom;
  #other: BridgedSocket | undefined;
  #resumeOther: (() => void) | undefined;

  private constructor(from: BridgedFrom) {
    super({ autoDestroy: true });
    this.from = from;
  }

  /** The two ends. */
  static pair(from: BridgedFrom): readonly [BridgedSocket, BridgedSocket] {
    const one = new BridgedSocket(from);
    const other = new BridgedSocket(from);
    one.#other = other;
    other.#other = one;
    return [one, other];
  }

  get remoteAddress(): string | undefined {
    return this.from.remoteAddress;
  }

  get encrypted(): boolean {
    return this.from.encrypted;
  }

  override _read(): void {
    const resume = this.#resumeOther;
    this.#resumeOther = undefined;
    resume?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const other = this.#other;
    if (other === undefined || other.destroyed) done(new Error("the other end is closed"));
    else if (other.push(chunk)) done();
    else other.#resumeOther = done;
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#other?.destroyed === false) this.#other.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const other = this.#other;
    this.#other = undefined;
    done(error);
    if (other !== undefined && !other.destroyed) setImmediate(() => other.destroy());
  }
}
