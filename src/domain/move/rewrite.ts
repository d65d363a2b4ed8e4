/** What is put for a key of an export where the store gives it revisions of its own. */
import { NO_BYTES } from "../../base/bytes.ts";
import type { KeyValue, PutRequest, Revision } from "../../engine/model.ts";
import { isMovedRecordKey, movedRecordKey, writeRecord } from "../registry/registry-layout.ts";
import { readRegistryPath } from "../registry/token.ts";
import { toldBy } from "../registry/told-revisions.ts";
import { spaceOf } from "../tree/tree-layout.ts";
import { pathOfKey } from "../tree/tree-path.ts";
import { createdIn, movedFileRecord } from "../tree/tree-records.ts";

export interface RewriteOptions {
  /** What has become of a revision that the export tells of. */
  readonly newRevision: (before: Revision) => Revision | undefined;
  /** A key of the export. */
  readonly find: (key: Uint8Array) => KeyValue | undefined;
}

/**
 * When a key is put first. When a side record of the tree was created tells nothing, but of what it says was created then
 * nothing else may be left: so that it has a place among the revisions, the record is put first.
 */
export function firstRevision(kv: KeyValue): Revision {
  const created = isFileRecord(kv) ? createdIn(kv) : undefined;
  return created === undefined ? kv.createRevision : Math.min(created, kv.modRevision);
}

/** The first put of a key that is put again later: just so that it is there. */
export function firstPut({ key }: KeyValue): readonly PutRequest[] {
  return isMovedRecordKey(key) ? [] : [{ key, value: NO_BYTES }];
}

/** A key as it is to stay, and with a member the record of when nodes were told of it. */
export function lastPut(kv: KeyValue, options: RewriteOptions): readonly PutRequest[] {
  const { key, lease } = kv;
  // Written anew with its member.
  if (isMovedRecordKey(key)) return [];
  const value = isFileRecord(kv) ? movedFileRecord(kv, options.newRevision) : kv.value;
  return [{ key, value, lease }, ...movedRecord(kv, options)];
}

function isFileRecord({ key }: KeyValue): boolean {
  return spaceOf(key)?.space === "file";
}

function movedRecord(kv: KeyValue, { find }: RewriteOptions): readonly PutRequest[] {
  const path = pathOfKey(kv.key);
  const target = path === undefined ? undefined : readRegistryPath(path);
  if (target?.kind !== "member") return [];
  const key = movedRecordKey(target.token, target.id);
  return [{ key, value: writeRecord(toldBy(kv, find(key))) }];
}
