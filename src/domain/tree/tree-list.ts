/** Lists a directory: its children, or all that is below it, at one revision. */
import { compareBytes, text } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import { FIRST_READ_SLICE_MS } from "../../base/limits.ts";
import type { Engine } from "../../engine/engine.ts";
import type { KeyValue, Revision } from "../../engine/model.ts";
import { turns } from "../../engine/turns.ts";
import type { TreeNode, TreePath } from "./model.ts";
import { belowRange, type Space, spaceOf } from "./tree-layout.ts";
import { Listing, type ListingOptions } from "./tree-listing.ts";
import { childPath, isHidden, pathOfKey, segmentsOf, shownPart } from "./tree-path.ts";
import { Scan, skipBelowChildren, skipHidden } from "./tree-scan.ts";

export interface ListOptions extends ListingOptions {
  readonly engine: Engine;
  readonly revision: Revision;
  /** Asked now and then: whether nobody waits for the listing any more. */
  readonly isAbandoned?: (() => boolean) | undefined;
  /** How long it is put together at a time, in ms. Default: FIRST_READ_SLICE_MS. */
  readonly sliceMs?: number;
}

/**
 * The children of a directory that are not hidden, in the byte order of their names. A long one is put together in turns
 * with all other long reads. Error: `closed` where it was abandoned.
 */
export async function listDirectory(options: ListOptions): Promise<Iterable<TreeNode>> {
  const merge = new Merge(options);
  await merge.read();
  while (!merge.takeUntil(performance.now() + (options.sliceMs ?? FIRST_READ_SLICE_MS))) {
    // One piece in a turn, and no more: what is read in a turn is limited, and others want to read in it too.
    await turns.next();
    if (options.isAbandoned?.() === true) throw new MusterError("closed", "Ask again: nobody waited for the listing");
    await merge.read();
  }
  return merge.listing.nodes();
}

/** Goes through the three spaces of a directory side by side. */
class Merge {
  readonly listing: Listing;
  readonly #directories: SpaceReader;
  readonly #keys: SpaceReader;
  readonly #records: SpaceReader;
  readonly #directory: TreePath;
  readonly #depth: number;
  readonly #recursive: boolean;

  constructor(options: ListOptions) {
    this.listing = new Listing(options);
    this.#directories = new SpaceReader(options, "directory");
    this.#keys = new SpaceReader(options, "key");
    this.#records = new SpaceReader(options, "file");
    this.#directory = options.directory;
    this.#depth = segmentsOf(options.directory).length;
    this.#recursive = options.recursive;
  }

  /** Reads where more is needed to go on. */
  async read(): Promise<void> {
    const hungry = [this.#directories, this.#keys, this.#records].filter((space) => space.isHungry);
    await Promise.all(hungry.map((space) => space.read()));
  }

  /** Takes in what was read until more must be (false), the time is up (false; at least one path), or all is (true). */
  takeUntil(deadline: number): boolean {
    while (!(this.#directories.isHungry || this.#keys.isHungry || this.#records.isHungry)) {
      const next = first(first(this.#directories.head, this.#keys.head), this.#records.head);
      if (next === undefined) return true;
      this.#take(next);
      if (performance.now() >= deadline) return false;
    }
    return false;
  }

  #take({ path, bytes, isWhole }: Head): void {
    const directory = this.#directories.take(bytes);
    const key = this.#keys.take(bytes);
    const record = this.#records.take(bytes);
    const segments = this.#recursive ? [] : segmentsOf(path);
    const isTooDeep = segments.length > this.#depth + 1;
    if (isWhole && !isTooDeep) this.listing.add(path, { directory, key, record });
    else if (key !== undefined) {
      const implied = isTooDeep ? childPath(this.#directory, segments[this.#depth] ?? "") : path;
      this.listing.addImplied(implied, text(key.key));
    }
  }
}

/** A path to be seen, and what one space has there. */
interface Head {
  readonly path: TreePath;
  /** Whether the key is that of the path; else it is one that v2 does not show, and makes the path a directory. */
  readonly isWhole: boolean;
  /** What the key has for a path: it decides the order. */
  readonly bytes: Uint8Array;
  readonly kv: KeyValue;
}

/** The paths of one space that are to be seen, in the order of their bytes. */
class SpaceReader {
  readonly #scan: Scan;
  readonly #directory: TreePath;
  #kvs: readonly KeyValue[] = [];
  #next = 0;
  #head: Head | undefined;

  constructor({ engine, directory, revision, recursive }: ListOptions, space: Space) {
    const range = belowRange(space, directory);
    const skipAt = recursive ? skipHidden(range.key.length) : skipBelowChildren(range.key.length);
    this.#scan = new Scan({ engine, range, revision, skipAt });
    this.#directory = directory;
  }

  /** The first that has not been taken; undefined where there is none, or none has been read. */
  get head(): Head | undefined {
    return this.#head;
  }

  /** Whether it must be read before it can be said what comes next. */
  get isHungry(): boolean {
    return this.#head === undefined && !this.#scan.isOver;
  }

  async read(): Promise<void> {
    this.#kvs = await this.#scan.read();
    this.#next = 0;
    this.#advance();
  }

  /** Takes the head if it is at this path. */
  take(bytes: Uint8Array): KeyValue | undefined {
    const head = this.#head;
    if (head === undefined || (head.bytes !== bytes && compareBytes(head.bytes, bytes) !== 0)) return undefined;
    this.#advance();
    return head.kv;
  }

  #advance(): void {
    this.#head = undefined;
    while (this.#head === undefined && this.#next < this.#kvs.length) {
      const kv = this.#kvs[this.#next++];
      if (kv !== undefined) this.#head = this.#headOf(kv);
    }
  }

  #headOf(kv: KeyValue): Head | undefined {
    const place = spaceOf(kv.key);
    if (place === undefined) return undefined;
    const bytes = place.pathBytes;
    const path = pathOfKey(bytes);
    if (path !== undefined && !isHidden(path, this.#directory)) return { path, bytes, kv, isWhole: true };
    const shown = place.space === "key" ? shownPart(bytes, this.#directory) : undefined;
    return shown === undefined ? undefined : { path: shown, bytes, kv, isWhole: false };
  }
}

function first(a: Head | undefined, b: Head | undefined): Head | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return compareBytes(a.bytes, b.bytes) <= 0 ? a : b;
}
