/**
 * What nodes may write on the public listener: anything below a token, but of its configuration only another size, and
 * nothing at the token itself.
 */
import { text } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import { MAX_CLUSTER_SIZE } from "../../base/limits.ts";
import type { Content, WriteCommand } from "../tree/model.ts";
import type { RegistryPath } from "./token.ts";
import { parseSize } from "./token-state.ts";

/**
 * Errors: `readOnly` for what would give a token a time to live or take it or its size away; `invalidField` for a size
 * that is none. Whatever else a token's directory cannot do, the tree itself refuses in v2's words.
 */
export function refuseWhatNodesNeverWrite(command: WriteCommand, target: RegistryPath): void {
  if (target.kind === "token" && changesDirectory(command)) {
    throw readOnly(command, "a token is changed only below its path");
  }
  if (!touchesConfig(command.path)) return;
  if (target.kind !== "size" || !writesFile(command)) throw readOnly(command, "a token keeps its size");
  refuseBadSize(command);
}

function changesDirectory(command: WriteCommand): boolean {
  if (command.kind === "delete") return command.directory || command.recursive;
  if (command.kind === "update") return !hasValue(command.content);
  return command.kind === "expire";
}

/** An update without a value is how v2 gives a directory another time to live. */
function hasValue(content: Content): boolean {
  return content.kind === "file" && content.value.length > 0;
}

function touchesConfig(path: string): boolean {
  return /^\/_etcd\/registry\/[^/]+\/_config(\/|$)/.test(path);
}

type FileWrite = Extract<WriteCommand, { readonly expiry: unknown }>;

function writesFile(command: WriteCommand): command is FileWrite {
  return command.kind === "compareAndSwap" || ("content" in command && command.content.kind === "file");
}

function refuseBadSize(command: FileWrite): void {
  const value =
    "content" in command ? (command.content.kind === "file" ? command.content.value : undefined) : command.value;
  const size = text(value ?? new Uint8Array());
  // Nodes read it by themselves: etcd takes no sign and no other form.
  if (command.expiry.kind === "never" && String(parseSize(size)) === size) return;
  throw new MusterError(
    "invalidField",
    `Give a whole number from 1 to ${MAX_CLUSTER_SIZE} as size, without a ttl: "${size}"`,
    {
      details: { cause: "invalid size", path: command.path },
    },
  );
}

function readOnly(command: WriteCommand, why: string): MusterError {
  return new MusterError("readOnly", `Write below the token instead of to "${command.path}": ${why}`, {
    details: { path: command.path, cause: command.path },
  });
}
