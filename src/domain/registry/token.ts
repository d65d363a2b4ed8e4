/** Tokens: the secret names of clusters that form, and where their keys are. */

import { MusterError } from "../../base/errors.ts";
import type { TreePath } from "../tree/model.ts";
import { childPath, parsePath } from "../tree/tree-path.ts";

/** The name of a cluster that forms: 32 hex digits where Muster made it, any one path segment where a person did. */
export type Token = string & { readonly __brand: "Token" };

/** Where etcd's discovery keeps its tokens, in v2 and v3 alike (discovery.etcd.io, etcd 3.6's v3discovery). */
export const REGISTRY_ROOT = parsePath("/_etcd/registry");

const RANDOM_TOKEN = /^[0-9a-f]{32}$/;
const HAND_MADE_TOKEN = /^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$/;

/** Whether `name` has the form of tokens that `/new` makes. */
export function isRandomToken(name: string): boolean {
  return RANDOM_TOKEN.test(name);
}

/** The token of this name, or undefined where no token can have it. */
export function parseToken(name: string): Token | undefined {
  return isTokenName(name) ? name : undefined;
}

function isTokenName(name: string): name is Token {
  return HAND_MADE_TOKEN.test(name);
}

/** What else the public listener answers for at its root, so that nobody can ask for a token of such a name by its URL. */
const TAKEN_NAMES: ReadonlySet<string> = new Set(["new", "health", "robots.txt"]);

/** Whether nodes could ask for a token of this name. */
export function isUsableToken(name: string): boolean {
  return isTokenName(name) && !TAKEN_NAMES.has(name);
}

/** How many bytes of a token that Muster makes nobody can guess. */
export const TOKEN_RANDOM_BYTES = 12;

const TOKEN_TIME_BYTES = 4;

/**
 * A token made at `now` (ms since 1970) of TOKEN_RANDOM_BYTES random bytes. It begins with the time, so that the keys of
 * clusters that form together lie together in the store: random names would cost a page of it for each key. The time
 * comes round every 50 days, which hurts nobody: it makes no token unique.
 */
export function makeToken(now: number, random: Uint8Array): Token {
  const bytes = Buffer.alloc(TOKEN_TIME_BYTES + random.length);
  bytes.writeUInt32BE(Math.floor(now) % 2 ** 32);
  bytes.set(random, TOKEN_TIME_BYTES);
  const name = bytes.toString("hex");
  if (!isTokenName(name)) throw new MusterError("internal", "Report this defect: no token could be made");
  return name;
}

/** The directory of a token. */
export function tokenPath(token: Token): TreePath {
  return childPath(REGISTRY_ROOT, token);
}

/** The file that holds how many members the cluster is to have. */
export function sizePath(token: Token): TreePath {
  return childPath(childPath(tokenPath(token), "_config"), "size");
}

/** What a path means to the registry. */
export type RegistryPath =
  /** Not below the registry's root, or no token can have that name. */
  | { readonly kind: "outside" }
  | { readonly kind: "token"; readonly token: Token }
  | { readonly kind: "size"; readonly token: Token }
  /** `TOKEN/ID`: where a node registers by v2 (hidden names such as _state are none). */
  | { readonly kind: "member"; readonly token: Token; readonly id: string }
  /** Anything else below a token. */
  | { readonly kind: "inside"; readonly token: Token };

/** What the path of every token begins with, up to its name. */
const BELOW_ROOT = `${REGISTRY_ROOT}/`;

/** Reads a path with the registry's eyes. */
export function readRegistryPath(path: TreePath): RegistryPath {
  if (!path.startsWith(BELOW_ROOT)) return { kind: "outside" };
  const end = path.indexOf("/", BELOW_ROOT.length);
  const token = parseToken(end === -1 ? path.slice(BELOW_ROOT.length) : path.slice(BELOW_ROOT.length, end));
  if (token === undefined) return { kind: "outside" };
  if (end === -1) return { kind: "token", token };
  const id = path.slice(end + 1);
  if (!(id.includes("/") || id.startsWith("_"))) return { kind: "member", token, id };
  if (path === sizePath(token)) return { kind: "size", token };
  return { kind: "inside", token };
}
