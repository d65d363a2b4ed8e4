/**
 * The clocks of several processes on one store. What one of them ends is gone for all, so none whose clock is off from
 * the others' may end anything: what is past its time then stays, and is shown, until a clock that agrees says so. They
 * compare their clocks as NTP does, by records in the store: a process asks by writing its time, its peers answer by
 * writing theirs and which of its times they had seen, and so it knows between which two moments of its own theirs was.
 * Why so: docs/decisions/0016.
 */
import type { Clock } from "../base/clock.ts";
import { isMusterError } from "../base/errors.ts";
import {
  PEER_CLOCK_ANSWER_MS,
  PEER_CLOCK_DOUBT_INTERVAL_MS,
  PEER_CLOCK_DOUBT_ROUND_MS,
  PEER_CLOCK_GRACE_MS,
  PEER_CLOCK_INTERVAL_MS,
  PEER_CLOCK_RETRY_MS,
  PEER_CLOCK_ROUND_MS,
  PEER_CLOCK_SETTLE_MS,
  PEER_CLOCK_TRIP_MS,
} from "../base/peer-clock-limits.ts";
import type { Engine, Watch } from "../engine/engine.ts";
import { type Agreement, agreementOf } from "./clock-agreement.ts";
import { Pause } from "./pause.ts";
import { clockOffNotice, clockUnknownNotice } from "./peer-clock-notices.ts";
import {
  CLOCK_RECORDS,
  type ClockRecord,
  clockRecordKey,
  idOfClockRecord,
  readClockRecord,
  writeClockRecord,
} from "./peer-clock-record.ts";
import { ComparedClock } from "./peer-compared-clock.ts";
import { PeerTimes } from "./peer-times.ts";

/** The process's own clock; a SteadyClock fits. */
export interface OwnClock extends Clock {
  /** How far the machine's clock is ahead of this one, in ms, since it jumped. */
  readonly wallAheadMs?: number;
  /** Goes by the machine's clock from now on. */
  takeWall?(): void;
}

export interface PeerClocksOptions {
  readonly engine: Engine;
  readonly clock: OwnClock;
  readonly log: PeerClocksLog;
  /** Names the process; no other on the store may have it. */
  readonly id: string;
  /** Where it runs, for its successor: of two processes with the same place at most one lives. Absent: that is not known. */
  readonly place?: string | undefined;
}

/** What is told of the clock; base/log.ts fits. */
export interface PeerClocksLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export class PeerClocks {
  /** The process's clock for all that keeps or ends times: nothing is over by it while it is off, or not compared yet. */
  readonly clock: Clock;
  readonly #options: PeerClocksOptions;
  readonly #times: PeerTimes;
  readonly #pause = new Pause();
  readonly #settling = new Pause();
  #agreement: Agreement = agreementOf([]);
  /** Since when, by the monotonic clock, it is being found out how the clock stands; undefined: that is known. */
  #unsureSince: number | undefined;
  #wallAhead: number;
  /** When it asked last, and when that counted against peers that do not answer; monotonic, ms. */
  #askedAt = Number.NEGATIVE_INFINITY;
  #countedAt = Number.NEGATIVE_INFINITY;
  #retryMs = PEER_CLOCK_RETRY_MS;
  #asks: NodeJS.Timeout | undefined;
  #answer: NodeJS.Timeout | undefined;
  /** By ids: peers that have left, and whose clocks still count. */
  readonly #leaving = new Map<string, NodeJS.Timeout>();
  #watch: Watch | undefined;
  #running: Promise<void> = Promise.resolve();
  #writing: Promise<void> = Promise.resolve();
  #closed = false;

  /** Begins to compare clocks; nothing is over by `clock` before that is done once. The engine stays the caller's. */
  static open(options: PeerClocksOptions): PeerClocks {
    const peers = new PeerClocks(options);
    peers.#running = peers.#follow();
    return peers;
  }

  private constructor(options: PeerClocksOptions) {
    this.#options = options;
    const { clock } = options;
    this.#times = new PeerTimes(clock, options);
    this.#wallAhead = clock.wallAheadMs ?? 0;
    this.#unsureSince = clock.monotonic();
    this.clock = new ComparedClock(this, clock);
  }

  /** Resolves when the clock has been compared for the first time; or soon, where the store cannot be reached. */
  settled(): Promise<void> {
    return this.#settling.wait(this.#unsureSince === undefined ? 0 : 2 * PEER_CLOCK_SETTLE_MS);
  }

  /** How far the peers' time is ahead, where they agree and this clock does not; in ms. */
  get correctionMs(): number {
    return this.#agreement.correctionMs;
  }

  /** Whether it is not known what time the peers have. */
  get isUncertain(): boolean {
    return !this.isTrusted && (this.#unsureSince !== undefined || this.correctionMs === 0);
  }

  /** Whether the clock agrees with its peers', so that things may end by it. */
  get isTrusted(): boolean {
    this.#lookForJump();
    return this.#unsureSince === undefined && !this.#agreement.isOff;
  }

  /** What the operator should know; undefined where the clocks agree, or have begun to be compared just now. */
  get notice(): string | undefined {
    this.#lookForJump();
    if (this.#agreement.isOff) return clockOffNotice(this.#agreement);
    if (this.#unsureSince === undefined) return undefined;
    return clockUnknownNotice(this.#options.clock.monotonic() - this.#unsureSince);
  }

  /** Takes the process's record out of the store, if that can be reached. May be called twice. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#asks);
    clearTimeout(this.#answer);
    for (const timer of this.#leaving.values()) clearTimeout(timer);
    this.#pause.end();
    this.#settling.end();
    this.#watch?.close();
    const patience = new Pause();
    // A store that cannot be reached would keep it for long.
    await Promise.race([this.#leave().finally(() => patience.end()), patience.wait(PEER_CLOCK_TRIP_MS)]);
  }

  async #leave(): Promise<void> {
    await this.#running;
    await this.#writing;
    await this.#forget(clockRecordKey(this.#options.id));
  }

  /** Told of every record, from what stands on; begins with that again whenever the watch breaks. */
  async #follow(): Promise<void> {
    const { engine } = this.#options;
    while (!this.#closed) {
      try {
        const { revision, kvs } = await engine.range(CLOCK_RECORDS);
        for (const { key } of kvs) this.#stays(idOfClockRecord(key));
        for (const id of this.#times.meet(kvs)) this.#leaves(id);
        this.#watch = engine.watch({ ...CLOCK_RECORDS, startRevision: revision + 1 });
        if (this.#closed) this.#watch.close();
        this.#ask();
        for await (const message of this.#watch) {
          if (message.kind !== "events") continue;
          for (const event of message.events) {
            if (event.kind === "delete") this.#hearGone(event.kv.key);
            else this.#hear(event.kv);
          }
        }
        return;
      } catch (error) {
        this.#watch?.close();
        if (isMusterError(error, "closed")) return;
        await this.#pause.wait(PEER_CLOCK_RETRY_MS);
      }
    }
  }

  #hear(kv: { readonly key: Uint8Array; readonly value: Uint8Array }): void {
    if (this.#isOwn(kv.key)) {
      if (readClockRecord(kv.value)?.asks === true) this.#hearOwnAsk();
      this.#judge();
      return;
    }
    this.#stays(idOfClockRecord(kv.key));
    const { asks, isNew } = this.#times.hear(kv);
    // Whoever is new is asked as well.
    if (isNew) this.#askedAt = Number.NEGATIVE_INFINITY;
    if (asks || isNew) this.#answerSoon();
    this.#judge();
  }

  /** A record has been taken out: by its process, which may be started again, or by a peer that had given that up. */
  #hearGone(key: Uint8Array): void {
    if (this.#isOwn(key)) this.#answerSoon();
    else this.#leaves(idOfClockRecord(key));
  }

  /** While in doubt its clock counts for a while longer. */
  #leaves(id: string): void {
    const drop = () => {
      this.#leaving.delete(id);
      this.#times.drop(id);
      this.#judge();
    };
    this.#times.noteLeaving(id, true);
    if (!this.#isInDoubt) drop();
    else if (!this.#leaving.has(id)) this.#leaving.set(id, setTimeout(drop, PEER_CLOCK_GRACE_MS).unref());
  }

  /** It has not left after all. */
  #stays(id: string): void {
    clearTimeout(this.#leaving.get(id));
    this.#leaving.delete(id);
    this.#times.noteLeaving(id, false);
  }

  #isOwn(key: Uint8Array): boolean {
    return idOfClockRecord(key) === this.#options.id;
  }

  /**
   * An ask counts when the process hears it itself: who is cut off from the store, or does not hear of it, must not believe
   * that it is alone.
   */
  #hearOwnAsk(): void {
    this.#times.noteAsk();
    const now = this.#options.clock.monotonic();
    if (now - this.#countedAt < (this.#isInDoubt ? PEER_CLOCK_DOUBT_ROUND_MS : PEER_CLOCK_ROUND_MS)) return;
    this.#countedAt = now;
    for (const peer of this.#times.countAsk()) {
      this.#writing = this.#writing.then(() => this.#forget(clockRecordKey(peer)));
    }
  }

  #judge(): void {
    const { clock, log } = this.#options;
    if (this.#unsureSince !== undefined) {
      const waited = clock.monotonic() - this.#unsureSince;
      if (!this.#times.isComplete(waited >= PEER_CLOCK_SETTLE_MS)) return;
      this.#unsureSince = undefined;
      this.#settling.end();
      this.#retryMs = PEER_CLOCK_RETRY_MS;
      this.#askLater();
    }
    const before = this.#agreement;
    // A correction is gained by the voices of those that are there; that they are silent for a while does not end it.
    const present = this.#times.presentDifferences(before.correctionMs !== 0);
    const now = agreementOf(this.#times.differences(), present);
    if (now.isOff && this.#takesWall()) return;
    // Those who knew better have gone, and of those who came nothing is known yet.
    if (before.isOff && !now.isOff && !this.#times.isComplete(true)) return;
    this.#agreement = now;
    if (now.isOff === before.isOff) return;
    if (now.isOff) log.warn({ offMs: Math.round(now.offMs), clocks: now.clocks }, clockOffNotice(now));
    else log.info({}, "The clock agrees with those of the other Musters on the store");
    this.#retryMs = PEER_CLOCK_RETRY_MS;
    this.#askLater();
  }

  /** The machine's clock was set right since this one began with a wrong time. */
  #takesWall(): boolean {
    const { clock } = this.#options;
    const ahead = clock.wallAheadMs ?? 0;
    if (ahead === 0 || clock.takeWall === undefined) return false;
    const byWall = (difference: number) => difference - ahead;
    const present = this.#times.presentDifferences(false).map(byWall);
    const { isOff, isBorneOut } = agreementOf(this.#times.differences().map(byWall), present);
    if (isOff || !isBorneOut) return false;
    clock.takeWall();
    // What it was off by is in the clock itself now.
    this.#agreement = { ...this.#agreement, correctionMs: 0 };
    this.#compareAnew();
    return true;
  }

  /** After a jump of the machine's clock the peers are asked again before anything ends. */
  #lookForJump(): void {
    if ((this.#options.clock.wallAheadMs ?? 0) !== this.#wallAhead) this.#compareAnew();
  }

  /** Nothing that is known of the peers' clocks counts any more, and they are asked. */
  #compareAnew(): void {
    const { clock } = this.#options;
    this.#wallAhead = clock.wallAheadMs ?? 0;
    this.#times.forgetDifferences();
    this.#unsureSince = clock.monotonic();
    this.#retryMs = PEER_CLOCK_RETRY_MS;
    this.#ask();
  }

  #ask(): void {
    this.#askedAt = Number.NEGATIVE_INFINITY;
    this.#write();
    this.#askLater();
  }

  /** Whether the answers are awaited, or the clock is off. */
  get #isInDoubt(): boolean {
    return this.#unsureSince !== undefined || this.#agreement.isOff;
  }

  /** Soon and then less often, while in doubt; else now and then. */
  #askLater(): void {
    clearTimeout(this.#asks);
    if (this.#closed) return;
    const wait = this.#isInDoubt ? this.#retryMs : PEER_CLOCK_INTERVAL_MS;
    this.#retryMs = this.#isInDoubt ? Math.min(this.#retryMs * 2, PEER_CLOCK_DOUBT_INTERVAL_MS) : PEER_CLOCK_RETRY_MS;
    this.#asks = setTimeout(() => this.#ask(), wait).unref();
  }

  #answerSoon(): void {
    this.#answer ??= setTimeout(() => {
      this.#answer = undefined;
      this.#write();
    }, PEER_CLOCK_ANSWER_MS).unref();
  }

  /** An answer asks as well where that is due soon: so all ask at about the same time, and one answer does for all. */
  #write(): void {
    this.#writing = this.#writing.then(() => this.#writeNow());
  }

  async #writeNow(): Promise<void> {
    if (this.#closed) return;
    const { engine, clock, id, place } = this.#options;
    const monotonic = clock.monotonic();
    const asks = monotonic - this.#askedAt >= PEER_CLOCK_INTERVAL_MS / 2;
    if (asks) this.#askedAt = monotonic;
    const record: ClockRecord = { at: clock.now(), asks, seen: this.#times.seen(), place };
    const request = { key: clockRecordKey(id), value: writeClockRecord(record) };
    try {
      await engine.txn({ compares: [], success: [{ kind: "put", request }], failure: [] });
    } catch {
      // The store cannot be reached, as everybody else is told too; the next one is due by itself.
    }
  }

  /** Deletes a record that means nothing any more; whoever is alive after all writes it again. */
  async #forget(key: Uint8Array): Promise<void> {
    try {
      await this.#options.engine.txn({
        compares: [],
        success: [{ kind: "deleteRange", request: { key } }],
        failure: [],
      });
    } catch {
      // It is in nobody's way: the next process that finds it takes it out.
    }
  }
}
