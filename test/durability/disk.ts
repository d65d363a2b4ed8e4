/**
 * What a disk may hold after a power cut: all that was synced, and of the rest whatever the model's user lets survive.
 * A file's bytes and its name are two things: bytes are synced with the file, names with the directory.
 */

/** What a disk writes whole or not at all. */
export const SECTOR_BYTES = 512;

/** Decides what becomes of what was not synced. Asked for each thing in the order in which it was done. */
export interface Fate {
  /** Of a write (or the cutting of a file to a length). */
  write(): "kept" | "dropped" | "torn";
  /** Of a sector of a torn write, and of the length that a dropped write gave its file. */
  sector(): boolean;
  /** Of a change to a directory. Those of one directory happen in order: after the first that is dropped none is asked for. */
  name(): boolean;
}

interface Write {
  readonly offset: number;
  /** Undefined: the file was cut to `offset`, or filled up to it. */
  bytes: Buffer | undefined;
  /** `lost`: its sync failed. The system may take it for written all the same, and never sync it again. */
  state: "under way" | "done" | "lost" | "synced";
}

/** A file's bytes: those that are synced, and writes since the first that is not. */
export class DiskFile {
  #synced: Buffer = Buffer.alloc(0);
  #length = 0;
  #writes: Write[] = [];
  /** As the running process sees it, in bytes. */
  size = 0;

  /** Notes a write as it begins; `done` says how much was written, `isSynced` that it is on disk when it returns. */
  begin(offset: number, bytes: Buffer): { done(count: number, isSynced: boolean): void } {
    const write: Write = { offset, bytes, state: "under way" };
    this.#writes.push(write);
    return {
      done: (count, isSynced) => {
        write.bytes = bytes.subarray(0, Math.max(count, 0));
        write.state = isSynced ? "synced" : "done";
        this.size = Math.max(this.size, count > 0 ? offset + count : 0);
        this.#settle();
      },
    };
  }

  /** Cuts the file, or fills it with zeros. */
  resize(length: number): void {
    this.#writes.push({ offset: length, bytes: undefined, state: "done" });
    this.size = length;
  }

  /** A sync that begins now covers what is done by now, once it has returned; where it fails, no other will. */
  beginSync(): (isDone: boolean) => void {
    const covered = this.#writes.filter(({ state }) => state === "done");
    return (isDone) => {
      for (const write of covered) {
        write.state = isDone ? "synced" : "lost";
      }
      this.#settle();
    };
  }

  /** How many writes a power cut could take back. */
  get unsynced(): number {
    return this.#writes.filter(({ state }) => state !== "synced").length;
  }

  /** The file's bytes after a power cut. */
  after(fate: Fate): Buffer {
    const image = new Image(this.#synced, this.#length);
    for (const write of this.#writes) {
      image.add(write, write.state === "synced" ? "kept" : fate.write(), fate);
    }
    return image.bytes();
  }

  /** What is synced, and follows nothing that is not, can be taken for granted. */
  #settle(): void {
    const open = this.#writes.findIndex(({ state }) => state !== "synced");
    const settled = this.#writes.splice(0, open === -1 ? this.#writes.length : open);
    const image = new Image(this.#synced, this.#length, "in place");
    for (const write of settled) {
      image.add(write, "kept");
    }
    this.#synced = image.buffer;
    this.#length = image.length;
  }
}

/** Bytes that grow. */
class Image {
  buffer: Buffer;
  length: number;

  constructor(start: Buffer, length: number, mode: "copy" | "in place" = "copy") {
    this.buffer = mode === "copy" ? Buffer.from(start) : start;
    this.length = length;
  }

  add({ offset, bytes }: Write, what: "kept" | "dropped" | "torn", fate?: Fate): void {
    if (bytes === undefined) {
      if (what === "kept") {
        this.#setLength(offset);
      }
      return;
    }
    const end = offset + bytes.length;
    if (what === "kept") {
      this.#put(offset, bytes);
      return;
    }
    if (end > this.length && fate?.sector() === true) {
      this.#setLength(end);
    }
    for (let at = offset; what === "torn" && at < end; ) {
      const next = Math.min(end, (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES);
      if (fate?.sector() === true) {
        this.#put(at, bytes.subarray(at - offset, next - offset));
      }
      at = next;
    }
  }

  bytes(): Buffer {
    return this.buffer.subarray(0, this.length);
  }

  #put(offset: number, bytes: Buffer): void {
    this.#setLength(Math.max(this.length, offset + bytes.length));
    bytes.copy(this.buffer, offset);
  }

  #setLength(length: number): void {
    if (length > this.buffer.length) {
      this.buffer = Buffer.concat([this.buffer.subarray(0, this.length), Buffer.alloc(length * 2 - this.length)]);
    }
    this.buffer.fill(0, Math.min(length, this.length), Math.max(length, this.length));
    this.length = length;
  }
}

/** What stands behind a name. */
export type DiskNode = DiskFile | DiskDirectory;

interface NameChange {
  readonly apply: (names: Map<string, DiskNode>) => void;
  synced: boolean;
}

/** A directory: names that are synced, and changes to them since. */
export class DiskDirectory {
  /** As the running process sees it. */
  readonly names = new Map<string, DiskNode>();
  readonly #synced = new Map<string, DiskNode>();
  #changes: NameChange[] = [];

  add(name: string, node: DiskNode): void {
    this.#change((names) => names.set(name, node));
  }

  remove(name: string): void {
    this.#change((names) => names.delete(name));
  }

  rename(from: string, to: string): void {
    const node = this.names.get(from);
    if (node !== undefined) {
      this.#change((names) => {
        names.delete(from);
        names.set(to, node);
      });
    }
  }

  /** A sync that begins now covers what has changed by now, once it has returned. */
  beginSync(): (isDone: boolean) => void {
    const covered = [...this.#changes];
    return (isDone) => {
      if (!isDone) {
        return;
      }
      for (const change of covered) {
        change.synced = true;
      }
      while (this.#changes[0]?.synced === true) {
        this.#changes.shift()?.apply(this.#synced);
      }
    };
  }

  /** The names after a power cut. */
  after(fate: Fate): ReadonlyMap<string, DiskNode> {
    const names = new Map(this.#synced);
    for (const change of this.#changes) {
      if (!change.synced && !fate.name()) {
        break;
      }
      change.apply(names);
    }
    return names;
  }

  #change(apply: (names: Map<string, DiskNode>) => void): void {
    apply(this.names);
    this.#changes.push({ apply, synced: false });
  }
}
