/** Lists a directory: its children, or all that is below it, at one revision. */
import type { Engine } from "../../engine/engine.ts";
import type { KeyValue, Revision } from "../../engine/model.ts";
import type { FileNode, TreeNode, TreePath } from "./model.ts";
import { belowRange, type Space, spaceOf } from "./tree-layout.ts";
import { childPath, isHidden, nameOf, parentOf, pathOfKey, segmentsOf } from "./tree-path.ts";
import { readDirectoryRecord, readFileFacts } from "./tree-records.ts";
import { scan, skipBelowChildren, skipHidden } from "./tree-scan.ts";

export interface ListOptions {
  readonly engine: Engine;
  readonly directory: TreePath;
  readonly revision: Revision;
  readonly recursive: boolean;
  /** Nodes whose time has come by then, in ms since 1970, are left out. */
  readonly now: number;
}

/** The children of a directory that are not hidden, in the byte order of their names. */
export async function listDirectory(options: ListOptions): Promise<readonly TreeNode[]> {
  const [directories, keys, records] = await Promise.all([
    collect(options, "directory"),
    collect(options, "key"),
    collect(options, "file"),
  ]);
  const listing = new Listing(options);
  for (const [path, kv] of directories) listing.addDirectory(path, kv);
  for (const [path, kv] of keys) {
    if (kv !== undefined) listing.addFile(path, kv, records.get(path));
  }
  for (const path of keys.keys()) listing.addImplied(path);
  return listing.nodes();
}

/** The paths of a space that are to be seen; without a key-value where only something below the path was found. */
async function collect(options: ListOptions, space: Space): Promise<Map<TreePath, KeyValue | undefined>> {
  const { engine, directory, revision, recursive } = options;
  const range = belowRange(space, directory);
  const skipAt = recursive ? skipHidden(range.key.length) : skipBelowChildren(range.key.length);
  const depth = segmentsOf(directory).length;
  const seen = new Map<TreePath, KeyValue | undefined>();
  for await (const kv of scan({ engine, range, revision, skipAt })) {
    const place = spaceOf(kv.key);
    const path = place === undefined ? undefined : pathOfKey(place.pathBytes);
    if (path === undefined || isHidden(path, directory)) continue;
    if (recursive || skipAt(kv.key) === -1) {
      seen.set(path, kv);
    } else {
      const child = childPath(directory, segmentsOf(path)[depth] ?? "");
      if (!seen.has(child)) seen.set(child, undefined);
    }
  }
  return seen;
}

interface OpenDirectory {
  readonly createdIndex: Revision;
  readonly expires: number | undefined;
  readonly children: Map<string, TreeNode | TreePath>;
}

/** Puts together what the three spaces say, and leaves out what has expired. */
class Listing {
  readonly #options: ListOptions;
  readonly #root: OpenDirectory = { createdIndex: 0, expires: undefined, children: new Map() };
  readonly #directories = new Map<TreePath, OpenDirectory>();
  readonly #files = new Set<TreePath>();

  constructor(options: ListOptions) {
    this.#options = options;
    this.#directories.set(options.directory, this.#root);
  }

  addDirectory(path: TreePath, record: KeyValue | undefined): void {
    if (record === undefined) return;
    this.#open(path, record.createRevision, readDirectoryRecord(record).expires);
  }

  /** A file, unless a directory's record or a file on the way to it hides it. */
  addFile(path: TreePath, kv: KeyValue, record: KeyValue | undefined): void {
    if (this.#directories.has(path)) return;
    const { createdIndex, expires } = readFileFacts(kv, record);
    this.#files.add(path);
    if (this.#isOver(expires)) return;
    const parent = this.#parent(path);
    if (parent === undefined) return;
    const node: FileNode = { kind: "file", path, value: kv.value, createdIndex, modifiedIndex: kv.modRevision };
    parent.children.set(nameOf(path), expires === undefined ? node : { ...node, expires });
  }

  /** A directory that nothing says but a key below it. */
  addImplied(path: TreePath): void {
    if (!this.#directories.has(path) && !this.#files.has(path)) this.#open(path, 0, undefined);
  }

  nodes(): readonly TreeNode[] {
    return this.#childrenOf(this.#root);
  }

  #open(path: TreePath, createdIndex: Revision, expires: number | undefined): OpenDirectory | undefined {
    const opened = { createdIndex, expires, children: new Map() };
    const parent = this.#isOver(expires) ? undefined : this.#parent(path);
    this.#directories.set(path, opened);
    parent?.children.set(nameOf(path), path);
    return parent === undefined ? undefined : opened;
  }

  #parent(path: TreePath): OpenDirectory | undefined {
    const above = parentOf(path);
    const known = this.#directories.get(above);
    if (known !== undefined) return known;
    return this.#files.has(above) ? undefined : this.#open(above, 0, undefined);
  }

  #isOver(expires: number | undefined): boolean {
    return expires !== undefined && expires <= this.#options.now;
  }

  #childrenOf(directory: OpenDirectory): readonly TreeNode[] {
    const names = sortNames([...directory.children.keys()]);
    return names.flatMap((name) => {
      const child = directory.children.get(name);
      if (child === undefined) return [];
      return [typeof child === "string" ? this.#directoryNode(child) : child];
    });
  }

  #directoryNode(path: TreePath): TreeNode {
    const directory = this.#directories.get(path) ?? this.#root;
    const { createdIndex, expires } = directory;
    const node = { kind: "directory", path, createdIndex, modifiedIndex: createdIndex } as const;
    return {
      ...node,
      ...(expires === undefined ? {} : { expires }),
      ...(this.#options.recursive ? { nodes: this.#childrenOf(directory) } : {}),
    };
  }
}

/** UTF-16 puts what lies beyond U+FFFF before U+E000 to U+FFFF, bytes do not; names with such characters are rare. */
const BEYOND_SIMPLE_ORDER = /[\ud800-\uffff]/;

function sortNames(names: string[]): string[] {
  if (names.some((name) => BEYOND_SIMPLE_ORDER.test(name))) {
    return names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }
  return names.sort((a, b) => (a < b ? -1 : 1));
}
