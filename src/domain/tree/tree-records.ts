/** What the tree's internal keys hold: JSON, read with a check because another process may have written it. */
import * as z from "zod";
import { type Bytes, text, utf8 } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import type { KeyValue, Revision } from "../../engine/model.ts";
import type { Action } from "./model.ts";

const fileRecord = z.object({
  /** The createdIndex; absent: the record's own mod revision, or the file's (`anew`). */
  created: z.number().optional(),
  /**
   * Every put of the key makes the file anew: its createdIndex is the key's own mod revision. So a set need not write the
   * record again; a write that keeps the createdIndex puts a record that says which.
   */
  anew: z.boolean().optional(),
  /** When the file goes, in ms since 1970; counts only while no later write has touched the file. */
  expires: z.number().optional(),
});
export type FileRecord = Readonly<z.infer<typeof fileRecord>>;

const directoryRecord = z.object({ expires: z.number().optional() });
export type DirectoryRecord = Readonly<z.infer<typeof directoryRecord>>;

const WRITTEN_ACTIONS = [
  "set",
  "create",
  "update",
  "compareAndSwap",
  "compareAndDelete",
  "delete",
  "expire",
] as const satisfies readonly Action[];

const nodeFacts = z.object({
  directory: z.boolean(),
  /** Absent: the write's own revision. */
  created: z.number().optional(),
  modified: z.number().optional(),
  expires: z.number().optional(),
});
export type NodeFacts = Readonly<z.infer<typeof nodeFacts>>;

const actionRecord = z.object({
  action: z.enum(WRITTEN_ACTIONS),
  path: z.string(),
  /** The writer's wall clock, in ms since 1970. */
  at: z.number(),
  refresh: z.boolean().optional(),
  node: nodeFacts,
  prev: nodeFacts.optional(),
});
export type ActionRecord = Readonly<z.infer<typeof actionRecord>>;

/** The bytes of any of the records. */
export function writeRecord(record: FileRecord | DirectoryRecord | ActionRecord): Bytes {
  return utf8(JSON.stringify(record));
}

/** What a directory's record says. Error: `internal` where it cannot be read. */
export function readDirectoryRecord(record: KeyValue): DirectoryRecord {
  return readJson(directoryRecord, record);
}

/** What the record of a v2 write says. Error: `internal` where it cannot be read. */
export function readActionRecord(record: KeyValue): ActionRecord {
  return readJson(actionRecord, record);
}

/** What a file's side record and its key's own revisions tell of it. */
export interface FileFacts {
  readonly createdIndex: Revision;
  /** When it goes, in ms since 1970. */
  readonly expires: number | undefined;
  /** Whether the next put of the key makes it anew, as its side record stands. */
  readonly anew: boolean;
}

/**
 * The facts of a file. Its side record holds only if it is not older than the key (which may have been deleted and put
 * again through v3), its expiry only if nothing has touched the key since. Error: `internal` where the record cannot be
 * read.
 */
export function readFileFacts(kv: KeyValue, record: KeyValue | undefined): FileFacts {
  if (record === undefined || record.modRevision < kv.createRevision) {
    return { createdIndex: kv.createRevision, expires: undefined, anew: false };
  }
  const { created, anew = false, expires } = readJson(fileRecord, record);
  return {
    createdIndex: created ?? (anew ? kv : record).modRevision,
    expires: record.modRevision === kv.modRevision ? expires : undefined,
    anew: anew && created === undefined,
  };
}

/** The createdIndex that a file's side record tells, where it is not its own revision. Error: `internal` where it cannot be read. */
export function createdIn(record: KeyValue): Revision | undefined {
  return readJson(fileRecord, record).created;
}

/**
 * A file's side record for a store whose revisions are others; `newRevision` tells what has become of one before the
 * record's own. The same record where nothing in it has to change. Error: `internal` where it cannot be read.
 */
export function movedFileRecord(record: KeyValue, newRevision: (before: Revision) => Revision | undefined): Bytes {
  const read = readJson(fileRecord, record);
  if (read.created === undefined) return record.value;
  // What is as new as the record itself is said by leaving it out.
  return writeRecord({ ...read, created: newRevision(read.created) });
}

function readJson<T>(schema: z.ZodType<T>, record: KeyValue): T {
  try {
    return schema.parse(JSON.parse(text(record.value)));
  } catch (cause) {
    const name = JSON.stringify(text(record.key));
    throw new MusterError("internal", `Report this defect: a record of the tree cannot be read: ${name}`, { cause });
  }
}
