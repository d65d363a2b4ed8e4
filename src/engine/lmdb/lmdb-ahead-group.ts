/**
 * Transactions that are worked out before LMDB is ready to take them: what they change is gathered in memory, and all of it
 * is written at once when those before them are synced.
 */
import { WRITE_AHEAD_BYTES, WRITE_AHEAD_CHANGES } from "../../base/ahead-limits.ts";
import type { Event, LeaseId, Revision } from "../model.ts";
import { NO_LEASE } from "../model.ts";
import type { Published } from "../watch-hub.ts";
import { deletedKey } from "./lmdb-draft.ts";
import type { Tables } from "./lmdb-open.ts";
import { type Layer, Overlay } from "./lmdb-overlay.ts";
import {
  changeKey,
  decodeVersion,
  encodeChange,
  encodeState,
  encodeVersion,
  LARGEST_LEASE_ID,
  leaseIn,
  leaseKey,
  modRevisionOf,
  numberIn,
  STATE_KEY,
  type State,
} from "./lmdb-schema.ts";

/** A key that a transaction looks at: its bytes, which nobody changes, the same as text, and the version record there was. */
export interface FoundKey {
  readonly key: Buffer;
  readonly name: string;
  readonly old: Buffer | undefined;
}

/** A change as it goes into `revs`, and where what it replaces is found in `past`. */
interface Logged {
  readonly place: Buffer;
  readonly record: Buffer;
  readonly key: Buffer;
  readonly past: readonly [mod: Revision, endMain: Revision, endSub: number] | undefined;
}

interface LeaseMove {
  readonly key: Buffer;
  readonly from: LeaseId;
  readonly to: LeaseId;
}

export interface AheadGroupOptions {
  readonly tables: Tables;
  /** The state that it builds upon: stored, or that of the group before it. */
  readonly state: State;
  readonly layer: Layer;
  /** What the group before it writes, while that is not synced. */
  readonly below: Layer | undefined;
  /** Whether watchers are to be told: decided once, as they are told of all revisions of a group or read them all. */
  readonly isWatched: boolean;
}

export class AheadGroup {
  readonly overlay: Overlay;
  readonly layer: Layer;
  readonly #compactRevision: Revision;
  readonly #isWatched: boolean;
  readonly #logged: Logged[] = [];
  readonly #leaseMoves: LeaseMove[] = [];
  readonly #published: Published[] = [];
  #events: Event[] = [];
  #revision: Revision;
  #sub = 0;
  #bytes = 0;

  constructor({ tables, state, layer, below, isWatched }: AheadGroupOptions) {
    this.overlay = new Overlay(tables, below === undefined ? [layer] : [layer, below]);
    this.layer = layer;
    this.#compactRevision = state.compactRevision;
    this.#isWatched = isWatched;
    this.#revision = state.revision;
  }

  /** The state after its transactions. */
  get state(): State {
    return { revision: this.#revision, compactRevision: this.#compactRevision };
  }

  /** How many changes of keys it has. */
  get changes(): number {
    return this.#logged.length;
  }

  get isFull(): boolean {
    return this.#logged.length >= WRITE_AHEAD_CHANGES || this.#bytes >= WRITE_AHEAD_BYTES;
  }

  /** The changes for watchers, by revision; none where nobody watches. */
  get published(): readonly Published[] {
    return this.#published;
  }

  /** The revision that the transaction under way shows: a new one as soon as it changed something. */
  get currentRevision(): Revision {
    return this.#sub > 0 ? this.#revision + 1 : this.#revision;
  }

  hasLease(id: LeaseId): boolean {
    return id > NO_LEASE && id <= LARGEST_LEASE_ID && this.overlay.hasLease(leaseKey(id));
  }

  /** Puts a key into the revision under way. It is there already: what it finds is given. */
  put({ key, name, old }: FoundKey, next: { readonly value: Uint8Array; readonly lease: LeaseId }): void {
    const modRevision = this.#revision + 1;
    const createRevision = old === undefined ? modRevision : numberIn(old, "createRevision");
    const version = old === undefined ? 1 : numberIn(old, "version") + 1;
    const { lease } = next;
    const record = encodeVersion({ createRevision, modRevision, version, lease, value: next.value });
    this.#log(key, encodeChange({ kind: "put", key, createRevision, version, lease, previous: old }), old);
    this.layer.set(name, { key, record });
    this.#moveLease(key, old, lease);
    if (this.#isWatched) {
      const kv = decodeVersion(key, record);
      this.#events.push({ kind: "put", kv, prevKv: old === undefined ? undefined : decodeVersion(key, old) });
    }
    this.#sub++;
  }

  /** Deletes a key that exists, in the revision under way. */
  delete({ key, name }: FoundKey, old: Buffer): void {
    const change = { kind: "delete", key, createRevision: 0, version: 0, lease: NO_LEASE, previous: old } as const;
    this.#log(key, encodeChange(change), old);
    this.layer.set(name, { key, record: undefined });
    this.#moveLease(key, old, NO_LEASE);
    if (this.#isWatched) {
      const kv = deletedKey(key, this.#revision + 1);
      this.#events.push({ kind: "delete", kv, prevKv: decodeVersion(key, old) });
    }
    this.#sub++;
  }

  /** Ends the transaction under way: what it changed becomes a revision. Answers with the newest. */
  finish(): Revision {
    if (this.#sub > 0) {
      this.#revision++;
      this.#sub = 0;
      if (this.#isWatched) {
        this.#published.push({ revision: this.#revision, events: this.#events });
        this.#events = [];
      }
    }
    return this.#revision;
  }

  /** Writes all of it, within a write transaction. Of what was written to a key several times only the last is. */
  write({ keys, revs, past, leaseKeys, meta }: Tables): void {
    for (const { place, record, key, past: replaced } of this.#logged) {
      revs.putSync(place, record);
      if (replaced !== undefined) {
        past.putSync(key, replaced);
      }
    }
    for (const { key, record } of this.layer.planned) {
      if (record === undefined) {
        keys.removeSync(key);
      } else {
        keys.putSync(key, record);
      }
    }
    for (const { key, from, to } of this.#leaseMoves) {
      if (from !== NO_LEASE) {
        leaseKeys.removeSync(leaseKey(from), key);
      }
      if (to !== NO_LEASE) {
        leaseKeys.putSync(leaseKey(to), key);
      }
    }
    meta.putSync(STATE_KEY, encodeState(this.state));
  }

  #log(key: Buffer, record: Buffer, old: Buffer | undefined): void {
    const main = this.#revision + 1;
    const past = old === undefined ? undefined : ([modRevisionOf(old), main, this.#sub] as const);
    this.#logged.push({ place: changeKey(main, this.#sub), record, key, past });
    this.#bytes += record.length;
  }

  #moveLease(key: Buffer, old: Buffer | undefined, to: LeaseId): void {
    const from = old === undefined ? NO_LEASE : leaseIn(old);
    if (from !== to) {
      this.#leaseMoves.push({ key, from, to });
    }
  }
}
