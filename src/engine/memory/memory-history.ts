/** All changes that were ever made to an engine in memory, and what they left. */
import { type Bytes, compareBytes, NO_BYTES } from "../../base/bytes.ts";
import { type KeyRange, type KeyValue, NO_LEASE, type Revision } from "../model.ts";

/** A change to one key: `kv` is the key-value after it, or the remains of a deleted one. */
export interface Change {
  readonly kind: "put" | "delete";
  readonly kv: KeyValue;
}

/** Everything that ever happened, in order: whatever an engine answers follows from this list. */
export type History = readonly Change[];

/** What a deletion leaves to tell. */
export function deletion(key: Bytes, modRevision: Revision): Change {
  return { kind: "delete", kv: { key, value: NO_BYTES, createRevision: 0, modRevision, version: 0, lease: NO_LEASE } };
}

/** Whether `key` lies in `range` (see KeyRange). */
export function inRange(key: Bytes, range: KeyRange): boolean {
  if (range.end === undefined) {
    return compareBytes(key, range.key) === 0;
  }
  return compareBytes(key, range.key) >= 0 && (range.end === null || compareBytes(key, range.end) < 0);
}

/** The key-values of `range` in key order, as they stood once every change up to and with `revision` was made. */
export function stateAt(history: History, range: KeyRange, revision: Revision): readonly KeyValue[] {
  const state = new Map<string, KeyValue>();
  for (const { kind, kv } of history) {
    if (kv.modRevision <= revision && inRange(kv.key, range)) {
      const name = Buffer.from(kv.key).toString("hex");
      if (kind === "put") {
        state.set(name, kv);
      } else {
        state.delete(name);
      }
    }
  }
  return [...state.values()].sort((a, b) => compareBytes(a.key, b.key));
}

/** The key-value of one key at a revision, if it had one. */
export function keyAt(history: History, key: Bytes, revision: Revision): KeyValue | undefined {
  return stateAt(history, { key }, revision)[0];
}

/** A copy that its receiver may write to. */
export function copyOf(kv: KeyValue): KeyValue {
  return { ...kv, key: Uint8Array.from(kv.key), value: Uint8Array.from(kv.value) };
}
