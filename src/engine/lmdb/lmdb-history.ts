/** Reading history for watches that are behind, in order, a bounded piece at a time: whole revisions, but for very large ones. */
import { MusterError } from "../../base/errors.ts";
import { READ_SLICE_MS, WATCH_QUEUE_BYTES, WATCH_QUEUE_EVENTS } from "../../base/limits.ts";
import type { Event, KeyValue, Revision } from "../model.ts";
import { Slice } from "../slice.ts";
import type { HistoryPiece, HistoryRequest, RevisionEvents, WatchHistory } from "../watch-history.ts";
import { deletedKey } from "./lmdb-draft.ts";
import type { Tables } from "./lmdb-open.ts";
import { compacted } from "./lmdb-refusals.ts";
import { type Change, changeKey, decodeChange, decodeChangeKey, decodeVersion, modRevisionOf } from "./lmdb-schema.ts";
import { readPast, readState } from "./lmdb-snapshot.ts";
import type { LmdbStore } from "./lmdb-store.ts";
import { unitsOf } from "./lmdb-view.ts";

export class LmdbHistory implements WatchHistory {
  readonly #store: LmdbStore;
  readonly #monotonic: () => number;

  constructor(store: LmdbStore, monotonic: () => number) {
    this.#store = store;
    this.#monotonic = monotonic;
  }

  read(request: HistoryRequest): Promise<HistoryPiece> {
    return this.#store.read((tables) => this.#read(tables, request));
  }

  #read(tables: Tables, request: HistoryRequest): HistoryPiece {
    const { compactRevision } = readState(tables);
    if (request.from < compactRevision) {
      throw compacted(request.from, compactRevision);
    }
    const slice = new Slice({ monotonic: this.#monotonic, ms: READ_SLICE_MS });
    slice.begin();
    const piece = new Piece();
    const range = { start: changeKey(request.from, request.fromSub ?? 0), end: changeKey(request.to + 1, 0) };
    for (const { key, value } of tables.revs.getRange(range)) {
      const { main, sub } = decodeChangeKey(key);
      if (piece.revision > 0 && ((main !== piece.revision && piece.isFull) || slice.isOver(unitsOf(value)))) {
        return { revisions: piece.revisions, next: main, nextSub: sub };
      }
      const change = decodeChange(value);
      const wanted = request.wants(change.key);
      // What replaced the version before the mark may be forgotten, so etcd shows none of what lies before it.
      piece.add(main, wanted ? toEvent(tables, change, { main, prevKv: main > compactRevision }) : undefined);
    }
    return { revisions: piece.revisions, next: request.to + 1 };
  }
}

/** What one read has gathered: complete but for the last revision, and but for the first where that is gone on with. */
class Piece {
  readonly revisions: RevisionEvents[] = [];
  #events: Event[] = [];
  #revision: Revision = 0;
  #count = 0;
  #bytes = 0;

  /** The last revision seen, 0 before the first. */
  get revision(): Revision {
    return this.#revision;
  }

  get isFull(): boolean {
    return this.#count >= WATCH_QUEUE_EVENTS || this.#bytes >= WATCH_QUEUE_BYTES;
  }

  add(revision: Revision, event: Event | undefined): void {
    this.#revision = revision;
    if (event === undefined) {
      return;
    }
    if (this.revisions.at(-1)?.revision !== revision) {
      this.#events = [];
      this.revisions.push({ revision, events: this.#events });
    }
    this.#events.push(event);
    this.#count++;
    this.#bytes += event.kv.key.length + event.kv.value.length + (event.prevKv?.value.length ?? 0);
  }
}

function toEvent(tables: Tables, change: Change, at: { readonly main: Revision; readonly prevKv: boolean }): Event {
  const { key } = change;
  const previous = at.prevKv ? beforehand(tables, change, at.main) : undefined;
  const prevKv = previous === undefined ? undefined : decodeVersion(key, previous);
  const kv = change.kind === "delete" ? deletedKey(key, at.main) : putVersion(tables, change, at.main);
  return { kind: change.kind, kv, prevKv };
}

/** What was there before the revision, as etcd tells it, not before the operation. */
function beforehand(tables: Tables, { key, previous }: Change, main: Revision): Buffer | undefined {
  return previous !== undefined && modRevisionOf(previous) === main ? readPast(tables, key, main - 1) : previous;
}

/** A value stands in one place: with the key while it is the newest, else with the change that replaced it. */
function putVersion(tables: Tables, change: Change, main: Revision): KeyValue {
  const live = tables.keys.get(change.key);
  const record = live !== undefined && modRevisionOf(live) === main ? live : readPutIn(tables, change.key, main);
  return decodeVersion(change.key, record);
}

/** A key is put at most once in a revision, so its mod revision names the version. */
function readPutIn(tables: Tables, key: Buffer, main: Revision): Buffer {
  const record = readPast(tables, key, main) ?? readReplacedAtOnce(tables, key, main);
  if (record === undefined || modRevisionOf(record) !== main) {
    throw new MusterError("internal", `Report this defect: the value put at revision "${main}" is missing`);
  }
  return record;
}

/** A put that a delete of the same revision undid was visible at no revision, but watchers are told of both. */
function readReplacedAtOnce(tables: Tables, key: Buffer, main: Revision): Buffer | undefined {
  for (const [mod, endMain = 0, endSub = 0] of tables.past.getValues(key, {
    start: [main + 1],
    reverse: true,
    limit: 1,
  })) {
    const record = mod === main ? tables.revs.get(changeKey(endMain, endSub)) : undefined;
    return record === undefined ? undefined : decodeChange(record).previous;
  }
  return undefined;
}
