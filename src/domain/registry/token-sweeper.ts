/**
 * Lets tokens go whose time is over, each in one revision that takes all its keys and records. The index by time says
 * where to look; a token that was registered with since then is put back under its later time. Every change compares
 * what it read, so any number of processes may sweep. Those of a batch go side by side, so that they share the syncs of
 * the disk.
 */
import { NO_BYTES, utf8 } from "../../base/bytes.ts";
import { type Clock, timeOver } from "../../base/clock.ts";
import { isMusterError, MusterError } from "../../base/errors.ts";
import { TOKEN_SWEEP_BATCH, TOKEN_SWEEP_INTERVAL_MS, TOKEN_SWEEP_TOLD } from "../../base/limits.ts";
import { type Log, shortToken } from "../../base/log.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Compare, KeyValue, Operation } from "../../engine/model.ts";
import type { Rider } from "../tree/model.ts";
import type { Tree } from "../tree/tree.ts";
import { forgetToken } from "./registration.ts";
import { lookAtKey, lookAtRange, readLookAtKey, tokenRecordKey, writeRecord } from "./registry-layout.ts";
import { sizePath, type Token, tokenPath } from "./token.ts";
import { readTokenRecordOf } from "./token-state.ts";

export interface TokenSweeperOptions {
  readonly engine: Engine;
  readonly tree: Tree;
  readonly clock: Clock;
  readonly log: Log;
}

/** What came of looking at some tokens. */
interface Looks {
  readonly went: readonly Token[];
  readonly failure: PromiseRejectedResult | undefined;
}

export class TokenSweeper {
  readonly #options: TokenSweeperOptions;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #nextAt = 0;
  #closed = false;

  constructor(options: TokenSweeperOptions) {
    this.#options = options;
  }

  /** Sweeps now and then whenever something is due. */
  start(): void {
    this.#running = this.#turn();
  }

  /** Says that something becomes due at `time` (ms since 1970). */
  wakeBy(time: number): void {
    if (time < this.#nextAt) this.#schedule(Math.max(time - this.#options.clock.now(), 0));
  }

  /** Lets go what is due now, after a sweep that is under way; resolves with how many tokens went. */
  async sweep(): Promise<number> {
    await this.#running;
    return this.#sweep();
  }

  async #sweep(): Promise<number> {
    const { engine, clock } = this.#options;
    let gone = 0;
    const { key: first, end } = lookAtRange(timeOver(clock));
    let key = first;
    /** Those of one batch are on their way while the next one is read. */
    let going: Promise<Looks> = Promise.resolve({ went: [], failure: undefined });
    try {
      for (;;) {
        const range = { key, end, limit: TOKEN_SWEEP_BATCH, keysOnly: true, uncounted: true };
        const entries = this.#closed ? [] : (await engine.range(range)).kvs;
        const before = going;
        going = this.#lookAtAll(entries);
        const { went, failure } = await before;
        this.#tell(went, gone);
        gone += went.length;
        if (failure !== undefined) throw failure.reason;
        const last = entries.at(-1);
        if (last === undefined) break;
        // Whatever is left behind it, as somebody wrote to it meanwhile, is for the next sweep.
        key = Buffer.concat([last.key, Buffer.of(0)]);
      }
    } finally {
      const { went } = await going;
      this.#tell(went, gone);
      gone += went.length;
      if (gone > TOKEN_SWEEP_TOLD) this.#options.log.info({ tokens: gone }, "tokens expired");
    }
    return gone;
  }

  /** Resolves when all have been looked at, and never rejects: nobody may be waiting for it yet. */
  async #lookAtAll(entries: readonly KeyValue[]): Promise<Looks> {
    const looks = await Promise.allSettled(entries.map(({ key }) => this.#look(readLookAtKey(key))));
    const went = looks.flatMap((look) => (look.status === "fulfilled" && look.value !== undefined ? [look.value] : []));
    return { went, failure: looks.find((look) => look.status === "rejected") };
  }

  /** Stops; a sweep under way ends after the batch that it is at. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #schedule(delay: number): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#nextAt = this.#options.clock.now() + delay;
    this.#timer = setTimeout(() => {
      this.#running = this.#turn();
    }, delay).unref();
  }

  async #turn(): Promise<void> {
    try {
      await this.#sweep();
      this.#schedule(await this.#untilNext());
    } catch (error) {
      if (isMusterError(error, "closed")) return;
      this.#options.log.warn({ err: error }, "expired tokens could not be swept; tried again in a minute");
      this.#schedule(TOKEN_SWEEP_INTERVAL_MS);
    }
  }

  async #untilNext(): Promise<number> {
    const { engine, clock } = this.#options;
    const { kvs } = await engine.range({ ...lookAtRange(), limit: 1, keysOnly: true, uncounted: true });
    const [first] = kvs;
    if (first === undefined) return TOKEN_SWEEP_INTERVAL_MS;
    return Math.min(Math.max(readLookAtKey(first.key).time - timeOver(clock), 0), TOKEN_SWEEP_INTERVAL_MS);
  }

  /** The first few each in a line; a hundred thousand lines would tell nobody anything. */
  #tell(went: readonly Token[], before: number): void {
    for (const token of went.slice(0, Math.max(0, TOKEN_SWEEP_TOLD - before))) {
      this.#options.log.info({ token: shortToken(token) }, "token expired");
    }
  }

  /** The token, if it went. */
  async #look({ time, token }: { readonly time: number; readonly token: Token }): Promise<Token | undefined> {
    const { engine, clock } = this.#options;
    const { size, kv, record } = await readTokenRecordOf(engine, token);
    const entry: Operation = { kind: "deleteRange", request: { key: lookAtKey(time, token) } };
    const unchanged: readonly Compare[] = [
      { key: tokenRecordKey(token), target: "modRevision", result: "equal", expected: kv?.modRevision ?? 0 },
      { key: utf8(sizePath(token)), target: "createRevision", result: "equal", expected: size?.createRevision ?? 0 },
    ];
    if (kv === undefined || record?.expires === undefined || record.lookAt !== time) {
      await engine.txn({ compares: unchanged, success: [entry], failure: [] });
      return undefined;
    }
    if (record.expires <= timeOver(clock)) {
      return this.#expire(token, { unchanged, operations: [entry, ...forgetToken(token)] });
    }
    const later = writeRecord({ ...record, lookAt: record.expires });
    const success: readonly Operation[] = [
      entry,
      { kind: "put", request: { key: lookAtKey(record.expires, token), value: NO_BYTES } },
      { kind: "put", request: { key: kv.key, value: later } },
    ];
    await engine.txn({ compares: unchanged, success, failure: [] });
    return undefined;
  }

  async #expire(
    token: Token,
    { unchanged, operations }: { readonly unchanged: readonly Compare[]; readonly operations: readonly Operation[] },
  ): Promise<Token | undefined> {
    const { engine, tree } = this.#options;
    let tries = 0;
    const rider: Rider = async () => {
      // The token has only just been read.
      const holds = tries++ === 0 || (await engine.txn({ compares: unchanged, success: [], failure: [] })).succeeded;
      if (!holds) throw new MusterError("contention", "Look at the token again: somebody registered meanwhile");
      return { compares: unchanged, operations };
    };
    try {
      await tree.write({ kind: "expire", path: tokenPath(token) }, rider);
    } catch (error) {
      if (isMusterError(error, "contention")) return undefined;
      if (!isMusterError(error, "nodeNotFound")) throw error;
      await engine.txn({ compares: unchanged, success: operations, failure: [] });
      return undefined;
    }
    return token;
  }
}
