/**
 * The v2 tree's errors. details.cause is what etcd v2 gives as `cause`, details.index the store's index when the
 * request was looked at.
 */
import { type ErrorCode, MusterError } from "../../base/errors.ts";
import type { Revision } from "../../engine/model.ts";
import type { TreePath } from "./model.ts";
import { MAX_PATH_BYTES } from "./tree-layout.ts";
import { ROOT } from "./tree-path.ts";

type TreeErrorCode = Extract<
  ErrorCode,
  | "nodeNotFound"
  | "compareFailed"
  | "notFile"
  | "notDirectory"
  | "nodeExists"
  | "readOnly"
  | "directoryNotEmpty"
  | "eventIndexCleared"
>;

const SENTENCES = {
  nodeNotFound: "Create it first: there is no such file or directory",
  notFile: "Name a file, or ask for a directory: this is a directory",
  notDirectory: "Name a path that no file stands in: this is a file",
  nodeExists: "Choose another name, or set it without prevExist=false: it exists already",
  readOnly: "Write below it: it is read only",
  directoryNotEmpty: "Delete it with recursive=true: the directory is not empty",
} as const satisfies Partial<Record<TreeErrorCode, string>>;

/** An error about a path. */
export function pathError(code: keyof typeof SENTENCES, path: TreePath, index: Revision): MusterError {
  // etcd takes the prefix of its keyspace off a path, and of the root nothing is left; "read only" spells the root out.
  const cause = path === ROOT && code !== "readOnly" ? "" : path;
  return new MusterError(code, `${SENTENCES[code]}: ${JSON.stringify(path)}`, { details: { path, cause, index } });
}

/** A path that the store has no room for. */
export function pathTooLong(path: TreePath): MusterError {
  const size = Buffer.byteLength(path);
  return new MusterError("keyTooLong", `Use a shorter path: it has ${size} bytes, the tree takes ${MAX_PATH_BYTES}`);
}

/** A condition of compareAndSwap or compareAndDelete that does not hold; `cause` has the pairs that differ. */
export function compareError(cause: string, path: TreePath, index: Revision): MusterError {
  return new MusterError("compareFailed", `Read the node again and retry: the condition does not hold: ${cause}`, {
    details: { path, cause, index },
  });
}

/** History from `waitIndex` on is gone; the oldest index that is still known goes along. */
export function clearedError(waitIndex: Revision, oldestIndex: Revision, index: Revision): MusterError {
  const cause = `the requested history has been cleared [${oldestIndex}/${waitIndex}]`;
  return new MusterError("eventIndexCleared", `Read the node, then wait from its index: ${cause}`, {
    details: { cause, oldestIndex, index },
  });
}
