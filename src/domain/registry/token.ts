/** Tokens: the secret names of clusters that form, and where their keys are. */

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
