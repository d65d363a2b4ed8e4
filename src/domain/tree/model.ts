/**
 * The v2 view in types: nodes, events and the commands that make them. Indices are the engine's revisions; times are
 * absolute, in ms of the wall clock; values are bytes. How any of it looks on the wire is the http-v2 face's business.
 */
import type { Bytes } from "../../base/bytes.ts";
import type { Compare, Operation, Revision } from "../../engine/model.ts";

/** An absolute, cleaned path: begins with `/`, no empty, `.` or `..` segment, no trailing slash (the root is `/`). */
export type TreePath = string & { readonly __brand: "TreePath" };

export interface FileNode {
  readonly kind: "file";
  readonly path: TreePath;
  readonly value: Bytes;
  /** True where the value, empty here, is not known: of a file as it was before a change, when others compacted it away. */
  readonly isForgotten?: true;
  readonly createdIndex: Revision;
  readonly modifiedIndex: Revision;
  /** When it goes, in ms since 1970; absent: never. */
  readonly expires?: number;
}

export interface DirectoryNode {
  readonly kind: "directory";
  readonly path: TreePath;
  readonly createdIndex: Revision;
  readonly modifiedIndex: Revision;
  readonly expires?: number;
  /** Its children, by the byte order of their names, where they were asked for; absent where they were not listed. */
  readonly nodes?: Iterable<TreeNode>;
}

export type TreeNode = FileNode | DirectoryNode;

export type Action = "get" | "set" | "create" | "update" | "compareAndSwap" | "compareAndDelete" | "delete" | "expire";

/** What a write did, and what a watch tells. */
export interface TreeEvent {
  readonly action: Action;
  /** After the change; a deleted file has an empty value. */
  readonly node: TreeNode;
  /** Before it, where there was one. */
  readonly prevNode?: TreeNode;
  /** The store's index after the change. */
  readonly index: Revision;
  /** When it happened by its writer's clock, in ms since 1970: what was left then of a time to live. Absent: not known. */
  readonly at?: number;
  /** True for a refresh (v2's refresh=true): it wakes no watcher. */
  readonly refresh?: boolean;
}

export interface GetOptions {
  readonly recursive: boolean;
  readonly sorted: boolean;
  /** Asked now and then while a long listing is put together: whether nobody waits for it any more. */
  readonly isAbandoned?: () => boolean;
}

export interface TreeReading {
  readonly node: TreeNode;
  /** The store's index when it was read (X-Etcd-Index). */
  readonly index: Revision;
  /** The very same node is given again as long as it stands so: what is made of it is worth keeping with it. */
  readonly kept?: true;
}

/** What becomes of a node's time to live; `keep` is v2's refresh=true without a ttl field's meaning changed. */
export type Expiry = { readonly kind: "never" } | { readonly kind: "at"; readonly expires: number };

/** The condition of compareAndSwap and compareAndDelete; both given means both must hold. */
export interface Precondition {
  readonly prevValue?: Bytes;
  /** A bigint where it is beyond exact numbers (v2 takes any 64-bit one); then it holds for no node. */
  readonly prevIndex?: Revision | bigint;
}

export type WriteCommand =
  /** v2 set: makes or replaces a file; makes a directory. */
  | {
      readonly kind: "set";
      readonly path: TreePath;
      readonly content: Content;
      readonly expiry: Expiry;
      readonly refresh: boolean;
    }
  /** prevExist=false. */
  | { readonly kind: "create"; readonly path: TreePath; readonly content: Content; readonly expiry: Expiry }
  /** POST: a child of the directory `path` named by the index, in twenty digits. */
  | { readonly kind: "createInOrder"; readonly path: TreePath; readonly content: Content; readonly expiry: Expiry }
  /** prevExist=true. */
  | {
      readonly kind: "update";
      readonly path: TreePath;
      readonly content: Content;
      readonly expiry: Expiry;
      readonly refresh: boolean;
    }
  | {
      readonly kind: "compareAndSwap";
      readonly path: TreePath;
      readonly value: Bytes;
      readonly condition: Precondition;
      readonly expiry: Expiry;
      readonly refresh: boolean;
    }
  | { readonly kind: "delete"; readonly path: TreePath; readonly directory: boolean; readonly recursive: boolean }
  | { readonly kind: "compareAndDelete"; readonly path: TreePath; readonly condition: Precondition }
  /** What a sweeper does with a node whose time has come: as a recursive delete, told as `expire`. */
  | { readonly kind: "expire"; readonly path: TreePath };

export type Content = { readonly kind: "file"; readonly value: Bytes } | { readonly kind: "directory" };

/**
 * Conditions and changes of the caller's that go into the same revision as the write. It is asked again at every
 * attempt (a write whose reads were overtaken is tried again), with the event that the attempt would make; it may throw
 * to call the write off.
 */
export type Rider = (planned: TreeEvent) => Promise<Ride>;

export interface Ride {
  readonly compares: readonly Compare[];
  readonly operations: readonly Operation[];
}

/** What a caller believes to know, so that the tree can create a file without reading first. */
export interface Foresight {
  /** At or above the command's path: a name so random that nobody can have used it. */
  readonly fresh?: TreePath;
  /** Reads what `foresee` needs; undefined where it knows that already. */
  readonly prepare?: () => Promise<void> | undefined;
  /**
   * As a rider, but from memory; the indices of the planned event are 0. Undefined: the write is to be done as usual.
   * The engine gets the write in the same turn.
   */
  readonly foresee: (planned: TreeEvent) => Foreseen | undefined;
}

export interface Foreseen extends Ride {
  /** Told the write's revision when it is done; undefined: nothing was written, what was believed may be wrong. */
  readonly settle: (revision: Revision | undefined) => void;
}

export interface TreeWatchRequest {
  readonly path: TreePath;
  readonly recursive: boolean;
  /** Events with modifiedIndex ≥ this; absent or 0: only what comes after the call. */
  readonly waitIndex?: Revision;
  /** Only from the latest events, which are in memory: else `eventIndexCleared`, though the engine may know older ones. */
  readonly recentOnly?: boolean;
  /** With whom it takes turns where many are to be told at a time; absent: all who watch its path. */
  readonly owner?: string;
}

/** A running watch on the tree. */
export interface TreeWatch extends AsyncIterable<TreeEvent> {
  /** The store's index when the watch was made (X-Etcd-Index of a wait). */
  readonly index: Revision;
  close(): void;
  /**
   * Tells the first event, instead of being iterated over and in the same turns: ten thousand iterations that wait take
   * three times the memory. Whoever was told closes the watch. Absent: iterate.
   */
  readonly tellFirst?: ((listener: FirstEventListener) => void) | undefined;
}

/** Hears of an event or of the end, once. */
export interface FirstEventListener {
  onEvent(event: TreeEvent): void;
  /** Called some time after onEvent, when all who waited with this one have been told: for what nobody waits for. */
  onTold(): void;
  /** The watch has ended before there was an event: it was closed, or the index is gone (what an iteration would throw). */
  onEnd(): void;
}

/** What the http-v2 face needs: the tree has it, and the registry, which stands before the tree. */
export interface TreeStore {
  /** Errors: `nodeNotFound`, `notDirectory`; details.path says which node, details.index the store's index. */
  get(path: TreePath, options: GetOptions): Promise<TreeReading>;
  /** Errors: those of the v2 tree (errors.ts: v2 codes), with details.index; `keyTooLong`; `contention`; the engine's. */
  write(command: WriteCommand): Promise<TreeEvent>;
  /** Error: `eventIndexCleared` with details.oldestIndex and details.index, where history from waitIndex on is gone. */
  watch(request: TreeWatchRequest): Promise<TreeWatch>;
}
