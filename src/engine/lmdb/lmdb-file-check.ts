/**
 * Looks at LMDB's data file before LMDB does. LMDB maps the file and believes it: on a file that is cut off or foreign it
 * would end the process by a signal instead of an error. The layout is lmdb-js' own LMDB ("data version 2", as in
 * node_modules/lmdb/dependencies/lmdb/libraries/liblmdb/mdb.c: MDB_page_header, MDB_meta, MDB_db, MDB_node).
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { endianness } from "node:os";
import { FULL_FILE_CHECK_BYTES } from "../../base/limits.ts";

const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;
/** Page header: page number u64, transaction u64, pad u16, flags u16, then lower u16 and upper u16, or page count u32. */
const HEADER_BYTES = 24;
const META_BYTES = 144;
const SMALLEST_PAGE_BYTES = 512;
const LARGEST_PAGE_BYTES = 65_536;
const NO_PAGE = 0xffff_ffff_ffff_ffffn;

const PAGE_BRANCH = 0x01;
const PAGE_LEAF = 0x02;
const PAGE_OVERFLOW = 0x04;
const PAGE_META = 0x08;
const PAGE_LEAF2 = 0x20;

const NODE_HEADER_BYTES = 8;
const NODE_BIG_DATA = 0x01;
const NODE_SUB_DATA = 0x02;
const DB_ROOT_OFFSET = 40;

/** A meta page's snapshot of the store. */
interface Meta {
  readonly pageBytes: number;
  readonly transaction: bigint;
  readonly lastPage: bigint;
  /** The trees of free pages and of tables. */
  readonly roots: readonly [free: bigint, main: bigint];
}

/**
 * What is wrong with an LMDB data file, in half a sentence, or undefined where nothing is seen to be. It looks at every
 * page in use; in a file beyond `fullCheckBytes` only at the trees' roots, but for one that is shorter than the pages
 * that were ever used. What is in the pages, beside their headers and links, is not looked at. The file is not changed.
 * Throws what the file system says where the file cannot be read.
 */
export function checkLmdbFile(path: string, fullCheckBytes = FULL_FILE_CHECK_BYTES): string | undefined {
  if (endianness() !== "LE") {
    // LMDB writes in the machine's own byte order; LMDB's own checks are all there is on others.
    return undefined;
  }
  const fd = openSync(path, "r");
  try {
    return new FileCheck(fd, fstatSync(fd).size).run(fullCheckBytes);
  } finally {
    closeSync(fd);
  }
}

class FileCheck {
  readonly #fd: number;
  readonly #size: number;
  #pageBytes = 0;
  /** A bit for each page that was met. */
  #visited = new Uint8Array(0);

  constructor(fd: number, size: number) {
    this.#fd = fd;
    this.#size = size;
  }

  run(fullCheckBytes: number): string | undefined {
    const first = this.#readMeta(0);
    if (typeof first === "string") {
      return first;
    }
    const second = this.#readMeta(first.pageBytes);
    if (typeof second === "string") {
      return second;
    }
    if (this.#size < 2 * first.pageBytes) {
      return `it has only ${this.#size} bytes`;
    }
    const newest = second.transaction > first.transaction ? second : first;
    this.#pageBytes = newest.pageBytes;
    // Pages at the end that were freed in the transaction that took them are never written: a short file may be sound.
    const isShort = this.#size < (Number(newest.lastPage) + 1) * this.#pageBytes;
    this.#visited = new Uint8Array(Math.ceil(this.#size / this.#pageBytes / 8));
    return this.#walk(newest.roots, isShort || this.#size <= fullCheckBytes);
  }

  #readMeta(offset: number): Meta | string {
    if (this.#size < offset + HEADER_BYTES + META_BYTES) {
      return `it has only ${this.#size} bytes`;
    }
    const page = this.#read(offset, HEADER_BYTES + META_BYTES);
    const meta = page.subarray(HEADER_BYTES);
    if ((page.readUInt16LE(18) & PAGE_META) === 0 || meta.readUInt32LE(0) !== MAGIC) {
      return `the page at byte ${offset} is not a meta page of LMDB`;
    }
    const version = meta.readUInt32LE(4) & 0xffff;
    if (version !== DATA_VERSION) {
      return `it has LMDB's data version ${version}, not ${DATA_VERSION}`;
    }
    const pageBytes = meta.readUInt32LE(24);
    if (pageBytes < SMALLEST_PAGE_BYTES || pageBytes > LARGEST_PAGE_BYTES || (pageBytes & (pageBytes - 1)) !== 0) {
      return `its meta page at byte ${offset} says that a page has ${pageBytes} bytes`;
    }
    return {
      pageBytes,
      roots: [meta.readBigUInt64LE(24 + DB_ROOT_OFFSET), meta.readBigUInt64LE(72 + DB_ROOT_OFFSET)],
      lastPage: meta.readBigUInt64LE(120),
      transaction: meta.readBigUInt64LE(128),
    };
  }

  /** Visits the roots, and those of the tables below; if `fully` every page of every tree. */
  #walk(roots: readonly bigint[], fully: boolean): string | undefined {
    const waiting = roots.filter((root) => root !== NO_PAGE).map((page) => ({ page, depth: 0 }));
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const page = this.#readPage(next.page);
      if (typeof page === "string") {
        return page;
      }
      // Roots of tables stand in the root page of the main tree.
      for (const child of fully || next.depth === 0 ? children(page) : []) {
        if (child.kind === "overflow") {
          const wrong = fully ? this.#checkOverflow(child.page, child.pages) : undefined;
          if (wrong !== undefined) {
            return wrong;
          }
        } else {
          waiting.push({ page: child.page, depth: next.depth + 1 });
        }
      }
    }
    return undefined;
  }

  #readPage(number: bigint): Buffer | string {
    const wrong = this.#checkWithin(number, 1n) ?? this.#visit(Number(number));
    if (wrong !== undefined) {
      return wrong;
    }
    const page = this.#read(Number(number) * this.#pageBytes, this.#pageBytes);
    const isTree = (page.readUInt16LE(18) & (PAGE_BRANCH | PAGE_LEAF)) !== 0;
    return page.readBigUInt64LE(0) === number && isTree ? page : `page ${number} is not the tree page it should be`;
  }

  #checkOverflow(number: bigint, pages: bigint): string | undefined {
    const wrong = this.#checkWithin(number, pages) ?? this.#visit(Number(number));
    if (wrong !== undefined) {
      return wrong;
    }
    const header = this.#read(Number(number) * this.#pageBytes, HEADER_BYTES);
    const isOverflow = (header.readUInt16LE(18) & PAGE_OVERFLOW) !== 0;
    return header.readBigUInt64LE(0) === number && isOverflow
      ? undefined
      : `page ${number} is not the overflow page it should be`;
  }

  /** Every page stands in one place of one tree: what is met twice would never end where it leads to itself. */
  #visit(number: number): string | undefined {
    const [at, bit] = [number >> 3, 1 << (number & 7)];
    const seen = this.#visited[at] ?? 0;
    this.#visited[at] = seen | bit;
    return (seen & bit) === 0 ? undefined : `page ${number} stands in two places`;
  }

  #checkWithin(number: bigint, pages: bigint): string | undefined {
    const end = (number + pages) * BigInt(this.#pageBytes);
    return end > BigInt(this.#size)
      ? `it is cut off: it has ${this.#size} bytes, page ${number} ends at ${end}`
      : undefined;
  }

  #read(offset: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    // A file that shrinks meanwhile leaves zeros, which no check takes for a page.
    readSync(this.#fd, bytes, 0, length, offset);
    return bytes;
  }
}

type Child =
  | { readonly kind: "tree"; readonly page: bigint }
  | { readonly kind: "overflow"; readonly page: bigint; readonly pages: bigint };

/** The pages that a tree page points to. */
function children(page: Buffer): Child[] {
  const flags = page.readUInt16LE(18);
  const found: Child[] = [];
  // Pages of fixed-size duplicates have no nodes.
  const nodes =
    (flags & PAGE_LEAF2) !== 0 ? 0 : Math.min(page.readUInt16LE(20) >> 1, (page.length - HEADER_BYTES) >> 1);
  for (let index = 0; index < nodes; index++) {
    const at = page.readUInt16LE(HEADER_BYTES + 2 * index) + HEADER_BYTES;
    if (at + NODE_HEADER_BYTES <= page.length) {
      const child = (flags & PAGE_BRANCH) !== 0 ? branchChild(page, at) : leafChild(page, at);
      if (child !== undefined) {
        found.push(child);
      }
    }
  }
  return found;
}

/** A branch node has the child's page number in its first 48 bits. */
function branchChild(page: Buffer, at: number): Child {
  return { kind: "tree", page: BigInt(page.readUIntLE(at, 6)) };
}

function leafChild(page: Buffer, at: number): Child | undefined {
  const flags = page.readUInt16LE(at + 4);
  const data = at + NODE_HEADER_BYTES + page.readUInt16LE(at + 6);
  if ((flags & NODE_BIG_DATA) !== 0 && data + 24 <= page.length) {
    return { kind: "overflow", page: page.readBigUInt64LE(data), pages: page.readBigUInt64LE(data + 16) };
  }
  if ((flags & NODE_SUB_DATA) !== 0 && data + DB_ROOT_OFFSET + 8 <= page.length) {
    const root = page.readBigUInt64LE(data + DB_ROOT_OFFSET);
    return root === NO_PAGE ? undefined : { kind: "tree", page: root };
  }
  return undefined;
}
