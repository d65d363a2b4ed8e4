/** What a process knows of its peers' clocks. */
import type { Clock } from "../base/clock.ts";
import { PEER_CLOCK_ASKS, PEER_CLOCK_DRIFT, PEER_CLOCK_TRIP_MS } from "../base/peer-clock-limits.ts";
import { type ClockRecord, idOfClockRecord, readClockRecord } from "./peer-clock-record.ts";

interface Peer {
  /** The newest time that it wrote, and when that was heard by the own clock; undefined: not since this process began. */
  heard: { readonly at: number; readonly when: number } | undefined;
  /** How its clock stands to the own one; undefined: not known. */
  difference: Difference | undefined;
  /** Asked so often in vain since it was heard. */
  asks: number;
  /** Whether it has not been heard since it was asked last. */
  isAwaited: boolean;
  /** Whether it has taken its record back, and its clock counts for a while longer. */
  isLeaving: boolean;
  /** As its record has it: of those with one place only who was heard last can live. */
  readonly place: string | undefined;
}

interface Difference {
  /** How far the peer's clock is ahead, in ms. */
  readonly aheadMs: number;
  /** How wrong that may have been when it was read, either way, and when that was by the own monotonic clock; in ms. */
  readonly errorMs: number;
  readonly readAt: number;
}

/** The process itself, whose record tells it nothing. */
export interface OwnRecord {
  readonly id: string;
  /** Where it runs: of two processes with the same place at most one lives. Absent: that is not known. */
  readonly place?: string | undefined;
}

interface Record {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

export class PeerTimes {
  readonly #clock: Clock;
  readonly #own: OwnRecord;
  /** By ids: who was heard last is the last. */
  readonly #peers = new Map<string, Peer>();

  constructor(clock: Clock, own: OwnRecord) {
    this.#clock = clock;
    this.#own = own;
  }

  /** Takes in the records that stand in the store: whose they are may be there no more. Gives the ids of those without one. */
  meet(records: readonly Record[]): readonly string[] {
    const met = new Map(records.map(({ key, value }) => [idOfClockRecord(key), readClockRecord(value)]));
    for (const [id, record] of met) {
      if (record === undefined || id === this.#own.id || this.#peers.has(id)) continue;
      this.#peers.set(id, newPeer(record));
    }
    return [...this.#peers.keys()].filter((id) => met.get(id) === undefined);
  }

  /** Takes in a record that was just written. `asks`: it wants an answer; `isNew`: its writer has not been heard before. */
  hear({ key, value }: Record): { readonly asks: boolean; readonly isNew: boolean } {
    const id = idOfClockRecord(key);
    const record = readClockRecord(value);
    if (id === this.#own.id || record === undefined) return { asks: false, isNew: false };
    const peer = this.#peers.get(id) ?? newPeer(record);
    this.#peers.delete(id);
    this.#peers.set(id, peer);
    const isNew = peer.heard === undefined;
    const when = this.#clock.now();
    peer.heard = { at: record.at, when };
    peer.asks = 0;
    peer.isAwaited = false;
    this.#compare(peer, record.seen[this.#own.id]);
    return { asks: record.asks, isNew };
  }

  /** Its process has taken its record back, or (`isLeaving` false) written one again. */
  noteLeaving(id: string, isLeaving: boolean): void {
    const peer = this.#peers.get(id);
    if (peer !== undefined) peer.isLeaving = isLeaving;
  }

  /** It counts no longer. */
  drop(id: string): void {
    this.#peers.delete(id);
  }

  /** How far the clocks that are known are ahead, in ms. */
  differences(): readonly number[] {
    return differencesOf([...this.#peers]);
  }

  /** The same of those that have not left, and have answered when they were asked last or (`withAwaited`) may yet. */
  presentDifferences(withAwaited: boolean): readonly number[] {
    return differencesOf(
      [...this.#peers].filter(([, { isLeaving, isAwaited }]) => !isLeaving && (withAwaited || !isAwaited)),
    );
  }

  /** What was known does not count any more. */
  forgetDifferences(): void {
    for (const peer of this.#peers.values()) peer.difference = undefined;
  }

  /**
   * Whether the clocks of all peers are known. Whoever is silent may live, and only be slow: `withoutPredecessor` who ran
   * where this process runs does not count, if it was never heard.
   */
  isComplete(withoutPredecessor: boolean): boolean {
    const all = [...this.#peers];
    const heard = all.filter(([, peer]) => peer.heard !== undefined);
    const silent = all.filter(([, peer]) => peer.heard === undefined);
    return newestOfPlaces([...silent, ...heard]).every(
      (peer) => peer.difference !== undefined || (withoutPredecessor && this.#isSilentPredecessor(peer)),
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

  /** All have been asked. */
  noteAsk(): void {
    for (const peer of this.#peers.values()) peer.isAwaited = true;
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

  /** `sent`: the own time that the peer had seen when it wrote what was just heard. */
  #compare(peer: Peer, sent: number | undefined): void {
    const { heard, difference } = peer;
    if (heard === undefined || sent === undefined) return;
    const trip = heard.when - sent;
    // What took long tells too little.
    if (trip < 0 || trip > PEER_CLOCK_TRIP_MS) return;
    // Its time was between the two moments.
    const read = { aheadMs: heard.at - (heard.when - trip / 2), errorMs: trip / 2, readAt: this.#clock.monotonic() };
    if (difference === undefined || !isStillBetter(difference, read)) peer.difference = read;
  }

  #isSilentPredecessor({ place, heard }: Peer): boolean {
    return place !== undefined && place === this.#own.place && heard === undefined;
  }
}

type NamedPeer = readonly [id: string, peer: Peer];

/** A successor that is not compared yet does not take its predecessor's voice. */
function differencesOf(peers: readonly NamedPeer[]): readonly number[] {
  const known = newestOfPlaces(peers.filter(([, { difference }]) => difference !== undefined));
  return known.flatMap(({ difference }) => (difference === undefined ? [] : [difference.aheadMs]));
}

/** Without those whose successors come later: their clocks would count twice. */
function newestOfPlaces(peers: readonly NamedPeer[]): readonly Peer[] {
  return [...new Map(peers.map(([id, peer]) => [peer.place ?? id, peer])).values()];
}

/** Whether an earlier reading agrees with a newer one and is still more exact. */
function isStillBetter({ aheadMs, errorMs, readAt }: Difference, newer: Difference): boolean {
  const error = errorMs + (newer.readAt - readAt) * PEER_CLOCK_DRIFT;
  return error < newer.errorMs && Math.abs(newer.aheadMs - aheadMs) <= newer.errorMs;
}

function newPeer({ place }: ClockRecord): Peer {
  return { heard: undefined, difference: undefined, asks: 0, isAwaited: false, isLeaving: false, place };
}
