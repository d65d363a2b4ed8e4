/**
 * Puts a listing together from what is found in key order. A directory's name comes before what is in it, but not right
 * before: `/a-b` lies between `/a` and `/a/c`. All that may still matter to what is to come are therefore beginnings of
 * the path that is at hand; they are kept in a stack, the shortest first.
 */
import { utf8 } from "../../base/bytes.ts";
import type { KeyValue, Revision } from "../../engine/model.ts";
import type { TreeNode, TreePath } from "./model.ts";
import { NO_NODE, PackedChildren, type PackedId, PackedNodes } from "./packed-nodes.ts";
import { parentOf, ROOT } from "./tree-path.ts";
import { readDirectoryRecord, readFileFacts } from "./tree-records.ts";

const SLASH = 0x2f;

/** A beginning of the path at hand, all of it before a slash or a character that comes before the slash. */
type Beginning =
  /** A directory that is shown, and its last child so far. */
  | { readonly kind: "directory"; readonly path: string; readonly id: PackedId; last: PackedId }
  /** A file, or what is past its time: nothing below it is shown. */
  | { readonly kind: "closed"; readonly path: string }
  /** Nothing yet. If keys below it come, it is a directory that has its place behind this sibling. */
  | { readonly kind: "gap"; readonly path: string; readonly behind: PackedId };

type Opened = Exclude<Beginning, { readonly kind: "gap" }>;

/** What the three spaces say of one path. */
export interface Found {
  readonly directory: KeyValue | undefined;
  readonly key: KeyValue | undefined;
  readonly record: KeyValue | undefined;
}

export interface ListingOptions {
  readonly directory: TreePath;
  readonly recursive: boolean;
  /** Nodes whose time has come by then, in ms since 1970, are left out. */
  readonly now: number;
}

export class Listing {
  readonly #now: number;
  readonly #nodes: PackedNodes;
  readonly #root: PackedId;
  readonly #stack: Beginning[];

  constructor({ directory, recursive, now }: ListingOptions) {
    this.#now = now;
    this.#nodes = new PackedNodes({ withNodes: recursive });
    this.#root = this.#nodes.add({ path: utf8(directory), createdIndex: 0, modifiedIndex: 0, expires: undefined });
    const path = directory === ROOT ? "" : directory;
    this.#stack = [{ kind: "directory", path, id: this.#root, last: NO_NODE }];
  }

  /** Takes in what was found at a path below the directory; paths come in the order of their bytes. */
  add(path: TreePath, { directory, key, record }: Found): void {
    this.#leave(path);
    if (directory !== undefined) this.#addDirectory(path, directory);
    else if (key !== undefined) this.#addFile(path, key, record);
  }

  /**
   * Takes in that there is a key below a path, itself below the directory: then it is one, if nothing is known of it.
   * The key need not be a path.
   */
  addImplied(path: TreePath, below: string): void {
    this.#leave(below);
    this.#openAt(path);
  }

  /** The children of the directory, in the byte order of their names. */
  nodes(): Iterable<TreeNode> {
    return new PackedChildren(this.#nodes, this.#root);
  }

  /** Forgets what is no beginning of the path, so that nothing at or below it can come any more. */
  #leave(path: string): void {
    for (let top = this.#stack.at(-1); top !== undefined && this.#stack.length > 1; top = this.#stack.at(-1)) {
      if (path.startsWith(top.path) && path.charCodeAt(top.path.length) <= SLASH) return;
      this.#stack.pop();
    }
  }

  #addDirectory(path: TreePath, record: KeyValue): void {
    const { expires } = readDirectoryRecord(record);
    if (this.#isOver(expires)) this.#close(path);
    else this.#open(path, record.createRevision, expires);
  }

  #addFile(path: TreePath, kv: KeyValue, record: KeyValue | undefined): void {
    const { createdIndex, expires } = readFileFacts(kv, record);
    const parent = this.#isOver(expires) ? undefined : this.#openAt(parentOf(path));
    if (parent?.kind === "directory") {
      this.#markGaps(path, parent);
      const file = { path: utf8(path), value: kv.value, createdIndex, modifiedIndex: kv.modRevision, expires };
      this.#append(parent, this.#nodes.add(file));
    }
    this.#close(path);
  }

  #isOver(expires: number | undefined): boolean {
    return expires !== undefined && expires <= this.#now;
  }

  /** What stands at a beginning of the path at hand: where nothing does yet, a directory is implied. */
  #openAt(path: TreePath): Opened {
    const known = this.#stack[this.#placeOf(lengthOf(path))];
    return known?.path.length === lengthOf(path) && known.kind !== "gap" ? known : this.#open(path, 0, undefined);
  }

  #open(path: TreePath, createdIndex: Revision, expires: number | undefined): Opened {
    const parent = this.#openAt(parentOf(path));
    if (parent.kind === "closed") return this.#close(path);
    const id = this.#nodes.add({ path: utf8(path), createdIndex, modifiedIndex: createdIndex, expires });
    const known = this.#stack[this.#placeOf(path.length)];
    if (known?.kind === "gap" && known.path.length === path.length) {
      this.#nodes.insert(id, { directory: parent.id, behind: known.behind });
    } else {
      this.#markGaps(path, parent);
      this.#append(parent, id);
    }
    return this.#put({ kind: "directory", path, id, last: NO_NODE });
  }

  #close(path: TreePath): Opened {
    return this.#put({ kind: "closed", path });
  }

  #append(parent: Extract<Beginning, { readonly kind: "directory" }>, id: PackedId): void {
    this.#nodes.insert(id, { directory: parent.id, behind: parent.last });
    parent.last = id;
  }

  /**
   * Before a child is put last: every beginning of its name behind which it stands only because a character before the
   * slash follows may turn out to be a directory, which then comes before it.
   */
  #markGaps(path: TreePath, parent: Extract<Beginning, { readonly kind: "directory" }>): void {
    const known = this.#stack[this.#placeOf(path.length)]?.path.length ?? 0;
    const firstName = parent.path.length + 2;
    for (let length = Math.max(known + 1, firstName); length < path.length; length++) {
      if (path.charCodeAt(length) < SLASH) {
        this.#put({ kind: "gap", path: path.slice(0, length), behind: parent.last });
      }
    }
  }

  /** Puts a beginning where its length belongs, instead of one of the same length. */
  #put<T extends Beginning>(beginning: T): T {
    const place = this.#placeOf(beginning.path.length);
    const same = this.#stack[place]?.path.length === beginning.path.length;
    this.#stack.splice(same ? place : place + 1, same ? 1 : 0, beginning);
    return beginning;
  }

  /** The place of the longest beginning that is no longer than this. */
  #placeOf(length: number): number {
    let place = this.#stack.length - 1;
    while (place > 0 && (this.#stack[place]?.path.length ?? 0) > length) place--;
    return place;
  }
}

function lengthOf(path: TreePath): number {
  return path === ROOT ? 0 : path.length;
}
