/** What a process knows of its peers' clocks. */
import type { Clock } from "../base/clock.ts";
import { PEER_CLOCK_ASKS, PEER_CLOCK_TRIP_MS } from "../base/peer-clock-limits.ts";
import { idOfClockRecord, readClockRecord } from "./peer-clock-record.ts";

interface Peer {
  /** The newest time that it wrote, and when that was heard by the own clock; undefined: not since this process began. */
  heard: { readonly at: number; readonly when: number } | undefined;
  /** How far its clock is ahead, in ms; undefined: not known. */
  difference: number | undefined;
  /** Asked so often in vain since it was heard. */
  asks: number;
}

interface Record {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

export class PeerTimes {
  readonly #clock: Clock;
  readonly #own: string;
  readonly #peers = new Map<string, Peer>();

  /** `own`: the id of the process itself, whose record tells nothing. */
  constructor(clock: Clock, own: string) {
    this.#clock = clock;
    this.#own = own;
  }

  /** Takes in the records that stand in the store: whose they are may be there no more. */
  meet(records: readonly Record[]): void {
    const readable = records.filter(({ value }) => readClockRecord(value) !== undefined);
    const ids = new Set(readable.map(({ key }) => idOfClockRecord(key)));
    for (const id of this.#peers.keys()) if (!ids.has(id)) this.#peers.delete(id);
    for (const id of ids) if (id !== this.#own && !this.#peers.has(id)) this.#peers.set(id, newPeer());
  }

  /** Takes in a record that was just written. `asks`: it wants an answer; `isNew`: its writer has not been heard before. */
  hear({ key, value }: Record): { readonly asks: boolean; readonly isNew: boolean } {
    const id = idOfClockRecord(key);
    const record = readClockRecord(value);
    if (id === this.#own || record === undefined) return { asks: false, isNew: false };
    const peer = this.#peers.get(id) ?? newPeer();
    this.#peers.set(id, peer);
    const isNew = peer.heard === undefined;
    const when = this.#clock.now();
    peer.heard = { at: record.at, when };
    peer.asks = 0;
    const sent = record.seen[this.#own];
    const trip = sent === undefined ? Number.NaN : when - sent;
    // Its time was between the two moments. What took long tells too little.
    if (trip >= 0 && trip <= PEER_CLOCK_TRIP_MS) peer.difference = record.at - (when - trip / 2);
    return { asks: record.asks, isNew };
  }

  /** Its process has taken a record back. */
  drop(key: Uint8Array): void {
    this.#peers.delete(idOfClockRecord(key));
  }

  /** How far the clocks that are known are ahead, in ms. */
  differences(): readonly number[] {
    return [...this.#peers.values()].flatMap(({ difference }) => (difference === undefined ? [] : [difference]));
  }

  /** What was known does not count any more. */
  forgetDifferences(): void {
    for (const peer of this.#peers.values()) peer.difference = undefined;
  }

  /** Whether the clocks of all peers are known; those that were never heard do not count `withoutSilent`. */
  isComplete(withoutSilent: boolean): boolean {
    return [...this.#peers.values()].every(({ heard, difference }) =>
      heard === undefined ? withoutSilent : difference !== undefined,
    );
  }

  /** For the own record: whose times were seen of late. */
  seen(): { readonly [id: string]: number } {
    const now = this.#clock.now();
    const lately = [...this.#peers].flatMap(([id, { heard }]) =>
      heard !== undefined && now - heard.when <= PEER_CLOCK_TRIP_MS ? [[id, heard.at] as const] : [],
    );
    return Object.fromEntries(lately);
  }

  /** Counts that all were asked once more; gives the ids of those that have been asked in vain, which are forgotten. */
  countAsk(): readonly string[] {
    const gone: string[] = [];
    for (const [id, peer] of this.#peers) {
      peer.asks++;
      if (peer.asks > PEER_CLOCK_ASKS) gone.push(id);
    }
    for (const id of gone) this.#peers.delete(id);
    return gone;
  }
}

function newPeer(): Peer {
  return { heard: undefined, difference: undefined, asks: 0 };
}
