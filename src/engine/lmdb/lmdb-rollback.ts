/**
 * Undoing a write that never came to its end: the process died, or the store could not be written. Nothing of it was
 * acknowledged or shown, so everything goes back to what the state's revision shows.
 */
import { NO_LEASE } from "../model.ts";
import type { Slice } from "../slice.ts";
import type { Tables } from "./lmdb-open.ts";
import {
  changeKey,
  decodeChange,
  decodeChangeKey,
  encodeState,
  leaseIn,
  leaseKey,
  modRevisionOf,
  STATE_KEY,
  type State,
} from "./lmdb-schema.ts";
import { unitsOf } from "./lmdb-view.ts";

/** No transaction has so many changes. */
const BEYOND_ANY_SUB = 0xffffffff;

/**
 * Undoes the newest changes, as many as a slice has room for, within a write transaction. True if all are undone: then
 * the state says so. If not, the transaction is to be committed and the rest undone in the next.
 */
export function rollBack(tables: Tables, state: State, slice: Slice): boolean {
  // Newest first: a revision may have put a key and then deleted it.
  const newest = {
    start: changeKey(state.revision + 1, BEYOND_ANY_SUB),
    end: changeKey(state.revision, BEYOND_ANY_SUB),
    reverse: true,
    limit: 1,
  };
  for (;;) {
    const [change] = tables.revs.getRange(newest);
    if (change === undefined) {
      const { revision, compactRevision } = state;
      tables.meta.putSync(STATE_KEY, encodeState({ revision, compactRevision }));
      return true;
    }
    undo(tables, change.key, change.value);
    if (slice.isOver(unitsOf(change.value))) {
      return false;
    }
  }
}

function undo(tables: Tables, place: Buffer, record: Buffer): void {
  const { key, lease, previous } = decodeChange(record);
  const name = Buffer.from(key);
  const old = previous === undefined ? undefined : Buffer.from(previous);
  if (old === undefined) {
    tables.keys.removeSync(name);
  } else {
    const { main, sub } = decodeChangeKey(place);
    tables.keys.putSync(name, old);
    tables.past.removeSync(name, [modRevisionOf(old), main, sub]);
  }
  const oldLease = old === undefined ? NO_LEASE : leaseIn(old);
  if (lease !== oldLease) {
    if (lease !== NO_LEASE) {
      tables.leaseKeys.removeSync(leaseKey(lease), name);
    }
    if (oldLease !== NO_LEASE) {
      tables.leaseKeys.putSync(leaseKey(oldLease), name);
    }
  }
  tables.revs.removeSync(place);
}
