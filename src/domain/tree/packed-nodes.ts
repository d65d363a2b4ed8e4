/**
 * Nodes of a listing, packed into a few large buffers: a million of them as objects would cost a GiB, and pauses of the
 * garbage collector that hold up everybody.
 *
 * A record: next sibling (8 bytes), first child (8), createdIndex (8), modifiedIndex (8), expires (8; NaN: never),
 * length of the path (4), length of the value (4; DIRECTORY for a directory), path, value.
 */
import { type Bytes, NO_BYTES } from "../../base/bytes.ts";
import { PACKED_FIRST_BUFFER_BYTES, PACKED_MOST_BUFFER_BYTES } from "../../base/tree-limits.ts";
import type { Revision } from "../../engine/model.ts";
import type { TreeNode, TreePath } from "./model.ts";

/** Where a record lies: the number of its buffer times BUFFER_SPAN, and its offset there. */
export type PackedId = number;

/** No node. */
export const NO_NODE: PackedId = -1;

export interface NodeToPack {
  /** UTF-8. */
  readonly path: Bytes;
  /** Absent: a directory. */
  readonly value?: Bytes;
  readonly createdIndex: Revision;
  readonly modifiedIndex: Revision;
  readonly expires: number | undefined;
}

const BUFFER_SPAN = 2 ** 32;
const DIRECTORY = 0xffff_ffff;

const NEXT = 0;
const FIRST_CHILD = 8;
const CREATED = 16;
const MODIFIED = 24;
const EXPIRES = 32;
const PATH_LENGTH = 40;
const VALUE_LENGTH = 44;
const HEADER_BYTES = 48;

export class PackedNodes {
  readonly #withNodes: boolean;
  readonly #buffers: Buffer[] = [];
  /** Of the last buffer. */
  #used = 0;

  /** `withNodes`: whether directories come with what is in them. */
  constructor(options: { readonly withNodes: boolean }) {
    this.#withNodes = options.withNodes;
  }

  /** Takes a node in, with no sibling after it and no child. */
  add({ path, value, createdIndex, modifiedIndex, expires }: NodeToPack): PackedId {
    const content = value ?? NO_BYTES;
    const buffer = this.#roomFor(HEADER_BYTES + path.length + content.length);
    const start = this.#used;
    buffer.writeDoubleLE(NO_NODE, start + NEXT);
    buffer.writeDoubleLE(NO_NODE, start + FIRST_CHILD);
    buffer.writeDoubleLE(createdIndex, start + CREATED);
    buffer.writeDoubleLE(modifiedIndex, start + MODIFIED);
    buffer.writeDoubleLE(expires ?? Number.NaN, start + EXPIRES);
    buffer.writeUInt32LE(path.length, start + PATH_LENGTH);
    buffer.writeUInt32LE(value === undefined ? DIRECTORY : value.length, start + VALUE_LENGTH);
    buffer.set(path, start + HEADER_BYTES);
    buffer.set(content, start + HEADER_BYTES + path.length);
    this.#used += HEADER_BYTES + path.length + content.length;
    return (this.#buffers.length - 1) * BUFFER_SPAN + start;
  }

  /** Puts a new child into a directory, behind one of its children; behind NO_NODE: as the first. */
  insert(child: PackedId, place: { readonly directory: PackedId; readonly behind: PackedId }): void {
    const { directory, behind } = place;
    const [link, field] = behind === NO_NODE ? [directory, FIRST_CHILD] : [behind, NEXT];
    this.#writeLink(child, NEXT, this.#readLink(link, field));
    this.#writeLink(link, field, child);
  }

  /** The children of a directory in their order. */
  *childrenOf(directory: PackedId): Generator<TreeNode> {
    for (let id = this.#readLink(directory, FIRST_CHILD); id !== NO_NODE; id = this.#readLink(id, NEXT)) {
      yield this.#nodeOf(id);
    }
  }

  #nodeOf(id: PackedId): TreeNode {
    const buffer = this.#bufferOf(id);
    const start = id % BUFFER_SPAN;
    const pathStart = start + HEADER_BYTES;
    const pathEnd = pathStart + buffer.readUInt32LE(start + PATH_LENGTH);
    const size = buffer.readUInt32LE(start + VALUE_LENGTH);
    const facts = {
      // As it came in: a path, in UTF-8.
      path: buffer.toString("utf8", pathStart, pathEnd) as TreePath,
      createdIndex: buffer.readDoubleLE(start + CREATED),
      modifiedIndex: buffer.readDoubleLE(start + MODIFIED),
    };
    const time = buffer.readDoubleLE(start + EXPIRES);
    const expiry = Number.isNaN(time) ? undefined : { expires: time };
    if (size !== DIRECTORY) {
      return { kind: "file", ...facts, value: buffer.subarray(pathEnd, pathEnd + size), ...expiry };
    }
    return {
      kind: "directory",
      ...facts,
      ...expiry,
      ...(this.#withNodes ? { nodes: new PackedChildren(this, id) } : {}),
    };
  }

  #bufferOf(id: PackedId): Buffer {
    return this.#buffers[Math.floor(id / BUFFER_SPAN)] ?? NOTHING;
  }

  #readLink(id: PackedId, field: number): PackedId {
    return this.#bufferOf(id).readDoubleLE((id % BUFFER_SPAN) + field);
  }

  #writeLink(id: PackedId, field: number, to: PackedId): void {
    this.#bufferOf(id).writeDoubleLE(to, (id % BUFFER_SPAN) + field);
  }

  #roomFor(bytes: number): Buffer {
    const last = this.#buffers.at(-1);
    if (last !== undefined && last.length - this.#used >= bytes) return last;
    const next = last === undefined ? PACKED_FIRST_BUFFER_BYTES : Math.min(last.length * 4, PACKED_MOST_BUFFER_BYTES);
    const buffer = Buffer.allocUnsafe(Math.max(next, bytes));
    this.#buffers.push(buffer);
    this.#used = 0;
    return buffer;
  }
}

const NOTHING = Buffer.alloc(0);

/** The children of a packed directory; made into objects one by one as they are looked at. */
export class PackedChildren implements Iterable<TreeNode> {
  readonly #nodes: PackedNodes;
  readonly #directory: PackedId;

  constructor(nodes: PackedNodes, directory: PackedId) {
    this.#nodes = nodes;
    this.#directory = directory;
  }

  [Symbol.iterator](): Iterator<TreeNode> {
    return this.#nodes.childrenOf(this.#directory);
  }
}
