/**
 * At which revisions clients know members: a store that was moved to another engine has revisions of its own for all that
 * it holds, but nodes that waited meanwhile come again with those that they were told of. A member that they hear of twice
 * ends their bootstrap, and one that they never hear of keeps them waiting for ever.
 */
import type { Engine } from "../../engine/engine.ts";
import type { KeyValue, Revision } from "../../engine/model.ts";
import { type MovedRecord, movedRecordKey, readMovedRecord } from "./registry-layout.ts";
import type { Token } from "./token.ts";

/** The revisions of a member as whoever saw it first was told of them: never newer than those of its key. */
export interface ToldRevisions {
  readonly first: Revision;
  readonly last: Revision;
}

/** The revisions of the member that is stored so. */
export async function toldRevisions(
  engine: Engine,
  token: Token,
  { id, kv }: { readonly id: string; readonly kv: KeyValue },
): Promise<ToldRevisions> {
  const { kvs } = await engine.range({ key: movedRecordKey(token, id) });
  return toldBy(kv, kvs[0]);
}

/** What a `moved` record says of a member's key, if it still is about what stands there. */
export function toldBy(kv: KeyValue, stored: KeyValue | undefined): ToldRevisions {
  const own = { first: kv.createRevision, last: kv.modRevision };
  if (stored === undefined || stored.modRevision < kv.createRevision) return own;
  const moved: MovedRecord = readMovedRecord(stored.key, stored.value);
  return { first: moved.first, last: stored.modRevision < kv.modRevision ? own.last : moved.last };
}
