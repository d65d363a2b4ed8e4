/**
 * Sizes of tokens as operators write them. A size that is none ends each node that reads it, and a token of a name that
 * no request can have is never found: both are refused where they are written, because there somebody looks.
 */
import { type Bytes, NO_BYTES, text } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import { MAX_CLUSTER_SIZE } from "../../base/limits.ts";
import type { TxnRequest } from "../../engine/model.ts";
import type { WriteCommand } from "../tree/model.ts";
import { isUsableToken } from "./token.ts";
import { parseSize } from "./token-state.ts";

const SIZE_PATH = /^\/_etcd\/registry\/([^/]*)\/_config\/size$/;

/** Of a value or name that is wrong, an error quotes so many characters. */
const QUOTED_CHARACTERS = 40;

/** Error: `invalidField` for a v2 write of a size that nodes could not use. */
export function refuseUnusableSize(command: WriteCommand): void {
  const value = writtenValue(command);
  if (value !== undefined) checkSize(command.path, value);
}

/** Error: `invalidField` where any branch of a v3 transaction, taken or not, puts a size that nodes could not use. */
export function refuseUnusableSizes({ success, failure }: TxnRequest): void {
  for (const operation of [...success, ...failure]) {
    if (operation.kind === "txn") refuseUnusableSizes(operation.request);
    else if (operation.kind === "put" && operation.request.ignoreValue !== true)
      checkSize(text(operation.request.key), operation.request.value);
  }
}

/** What a command writes at its path, of a directory nothing; undefined where it leaves the value as it is, or writes below. */
function writtenValue(command: WriteCommand): Bytes | undefined {
  switch (command.kind) {
    case "set":
    case "create":
    case "update":
      if ("refresh" in command && command.refresh) return undefined;
      return command.content.kind === "file" ? command.content.value : NO_BYTES;
    case "compareAndSwap":
      return command.refresh ? undefined : command.value;
    default:
      return undefined;
  }
}

function checkSize(path: string, value: Bytes): void {
  const name = SIZE_PATH.exec(path)?.[1];
  if (name === undefined) return;
  if (!isUsableToken(name)) {
    throw invalidField(
      path,
      `Name the token with letters, digits and . _ ~ -, a letter or digit first, and not "new", "health" or "robots.txt": nodes could not ask for ${quoted(name)}`,
    );
  }
  const size = text(value);
  if (parseSize(size) === undefined) {
    throw invalidField(
      path,
      `Give a whole number from 1 to ${MAX_CLUSTER_SIZE} as a token's size, and nothing around it: nodes cannot read ${quoted(size)}`,
    );
  }
}

function quoted(written: string): string {
  return JSON.stringify(written.length > QUOTED_CHARACTERS ? `${written.slice(0, QUOTED_CHARACTERS)}…` : written);
}

function invalidField(path: string, message: string): MusterError {
  return new MusterError("invalidField", message, { details: { path } });
}
