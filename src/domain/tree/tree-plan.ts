/**
 * What a command does to what was found at its path: the v2 rules. A plan says what becomes of the node; how that is
 * written to the engine is tree-changes' business. The rules and their order are etcd 2.3.8's store/store.go.
 */
import { type Bytes, equalBytes, NO_BYTES } from "../../base/bytes.ts";
import { goText } from "../../base/go-text.ts";
import type { Revision } from "../../engine/model.ts";
import type { Action, Content, Expiry, Precondition, TreeEvent, TreeNode, TreePath, WriteCommand } from "./model.ts";
import { compareError, pathError } from "./tree-errors.ts";
import { ROOT } from "./tree-path.ts";
import { type Found, type Located, nodeOf } from "./tree-read.ts";

export type Existing = Exclude<Found, { kind: "missing" }>;

/** What is to stand at the path; `createdIndex` undefined: the write's own revision. */
export type After =
  | { readonly kind: "gone" }
  | {
      readonly kind: "file";
      readonly value: Bytes;
      readonly createdIndex: Revision | undefined;
      readonly expires: number | undefined;
    }
  | { readonly kind: "directory"; readonly createdIndex: Revision | undefined; readonly expires: number | undefined };

export interface Plan {
  readonly action: Exclude<Action, "get">;
  readonly path: TreePath;
  readonly before: Existing | undefined;
  readonly after: After;
  /** A delete takes what is below along; else a directory must be empty. */
  readonly recursive: boolean;
  readonly refresh: boolean;
}

/** A command whose path is that of the node it writes: createInOrder has been turned into a create. */
export type PlannedCommand = Exclude<WriteCommand, { kind: "createInOrder" }>;

/**
 * Works out a command. Errors: those of the v2 tree; for a missing node the cause is the path itself, which the caller
 * makes exact.
 */
export function planWrite(command: PlannedCommand, located: Located): Plan {
  if (command.path === ROOT && command.kind !== "compareAndDelete") {
    throw pathError("readOnly", ROOT, located.revision);
  }
  switch (command.kind) {
    case "set":
      return planSet(command, located);
    case "create":
      return planCreate(command, located);
    case "update":
      return planUpdate(command, located);
    case "compareAndSwap":
      return planSwap(command, located);
    case "delete":
      return planDelete(command, located);
    case "compareAndDelete":
      return planCompareAndDelete(command, located);
    case "expire":
      return remove("expire", existing(located), true);
  }
}

/** The event that a plan makes at a revision; `before`: the node as it was, where more of it is known than in the plan. */
export function eventOf(plan: Plan, revision: Revision, before: Existing | undefined = plan.before): TreeEvent {
  const { action, refresh } = plan;
  const node = nodeAfter(plan, revision);
  const event: TreeEvent =
    before === undefined
      ? { action, node, index: revision }
      : { action, node, index: revision, prevNode: nodeOf(before) };
  return refresh ? { ...event, refresh } : event;
}

function nodeAfter({ path, before, after }: Plan, revision: Revision): TreeNode {
  if (after.kind === "gone") {
    const indices = { path, createdIndex: before?.createdIndex ?? 0, modifiedIndex: revision };
    return before?.kind === "directory"
      ? { kind: "directory", ...indices }
      : { kind: "file", ...indices, value: NO_BYTES };
  }
  const { createdIndex = revision, expires } = after;
  const indices = { path, createdIndex, modifiedIndex: revision };
  const node: TreeNode =
    after.kind === "file" ? { kind: "file", value: after.value, ...indices } : { kind: "directory", ...indices };
  return expires === undefined ? node : { ...node, expires };
}

type Command<K extends PlannedCommand["kind"]> = Extract<PlannedCommand, { kind: K }>;

function planSet(command: Command<"set">, { target, revision }: Located): Plan {
  if (command.refresh && target.kind === "missing") throw pathError("nodeNotFound", command.path, revision);
  if (target.kind === "directory") throw pathError("notFile", command.path, revision);
  const before = target.kind === "file" ? target : undefined;
  const kept = command.refresh && before !== undefined && command.content.kind === "file";
  const content: Content = kept ? { kind: "file", value: before.value } : command.content;
  return write("set", command.path, { before, after: make(content, command.expiry), refresh: command.refresh });
}

function planCreate(command: Command<"create">, { target, revision }: Located): Plan {
  if (target.kind !== "missing") throw pathError("nodeExists", command.path, revision);
  return write("create", command.path, { before: undefined, after: make(command.content, command.expiry) });
}

function planUpdate(command: Command<"update">, located: Located): Plan {
  const { path, content, expiry, refresh } = command;
  const before = existing(located);
  const given = content.kind === "file" ? content.value : NO_BYTES;
  if (before.kind === "file") {
    const value = refresh ? before.value : given;
    return write("update", path, { before, after: keep(before, value, expiry), refresh });
  }
  if (given.length > 0) throw pathError("notFile", path, located.revision);
  const after: After = { kind: "directory", createdIndex: createdOf(before), expires: expiresOf(expiry) };
  return write("update", path, { before, after, refresh });
}

function planSwap(command: Command<"compareAndSwap">, located: Located): Plan {
  const { path, refresh } = command;
  const before = matching(command.condition, located);
  const after = keep(before, refresh ? before.value : command.value, command.expiry);
  return write("compareAndSwap", path, { before, after, refresh });
}

function planDelete({ path, directory, recursive }: Command<"delete">, located: Located): Plan {
  const before = existing(located);
  if (before.kind === "directory" && !directory && !recursive) throw pathError("notFile", path, located.revision);
  return remove("delete", before, recursive);
}

function planCompareAndDelete(command: Command<"compareAndDelete">, located: Located): Plan {
  return remove("compareAndDelete", matching(command.condition, located), false);
}

function existing({ target, revision }: Located): Existing {
  if (target.kind === "missing") throw pathError("nodeNotFound", target.path, revision);
  return target;
}

/** The file that meets the condition. The words of the cause are etcd's getCompareFailCause. */
function matching({ prevValue, prevIndex }: Precondition, located: Located): Extract<Found, { kind: "file" }> {
  const target = existing(located);
  if (target.kind === "directory") throw pathError("notFile", target.path, located.revision);
  const { value, modifiedIndex } = target;
  const failures: string[] = [];
  if (prevValue !== undefined && !equalBytes(prevValue, value))
    failures.push(`[${goText(prevValue)} != ${goText(value)}]`);
  if (prevIndex !== undefined && prevIndex !== modifiedIndex) failures.push(`[${prevIndex} != ${modifiedIndex}]`);
  if (failures.length > 0) throw compareError(failures.join(" "), target.path, located.revision);
  return target;
}

function make(content: Content, expiry: Expiry): After {
  const facts = { createdIndex: undefined, expires: expiresOf(expiry) };
  return content.kind === "file" ? { kind: "file", value: content.value, ...facts } : { kind: "directory", ...facts };
}

function keep(before: Existing, value: Bytes, expiry: Expiry): After {
  return { kind: "file", value, createdIndex: before.createdIndex, expires: expiresOf(expiry) };
}

/** A directory that was only implied is made by the write. */
function createdOf(before: Extract<Found, { kind: "directory" }>): Revision | undefined {
  return before.record === undefined ? undefined : before.createdIndex;
}

function expiresOf(expiry: Expiry): number | undefined {
  return expiry.kind === "at" ? expiry.expires : undefined;
}

function write(
  action: Plan["action"],
  path: TreePath,
  facts: Pick<Plan, "before" | "after"> & { readonly refresh?: boolean },
): Plan {
  return { action, path, recursive: false, refresh: false, ...facts };
}

function remove(action: Plan["action"], before: Existing, recursive: boolean): Plan {
  return { action, path: before.path, before, after: { kind: "gone" }, recursive, refresh: false };
}
