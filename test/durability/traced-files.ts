/** What a traced process does to one directory and all that is below it, as the model of the disk understands it. */
import { basename, dirname, relative, resolve, sep } from "node:path";
import { DiskDirectory, DiskFile, type DiskNode } from "./disk.ts";
import { type Call, type Moment, number, strings } from "./trace.ts";

/** The calls that must be traced: all that can change a file or a directory, or say where a descriptor leads. */
export const FILE_CALLS = [
  ...["open", "openat", "openat2", "creat", "close", "dup", "dup2", "dup3", "fcntl", "lseek"],
  ...["write", "writev", "pwrite64", "pwritev", "pwritev2", "ftruncate", "truncate", "fallocate", "copy_file_range"],
  ...["sendfile", "splice", "mmap", "msync", "fsync", "fdatasync", "sync_file_range", "sync", "syncfs"],
  ...[
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "rmdir",
    "mkdir",
    "mkdirat",
    "link",
    "linkat",
    "symlink",
  ],
  ...["symlinkat", "io_uring_setup"],
] as const;

/** A file that is mapped for writing: what it holds cannot be seen in a trace, so it may hold anything. */
export const MAPPED = "lock.mdb";

/** An open file, shared by the descriptors that were duplicated from one another. */
interface Opened {
  readonly node: DiskNode;
  readonly name: string;
  readonly isSynced: boolean;
  readonly appends: boolean;
  position: number;
}

/** Follows one process after the other: descriptors begin anew with each, what is on the disk goes on. */
export class TracedFiles {
  readonly root: DiskDirectory;
  readonly #path: string;
  readonly #opened = new Map<number, Opened>();
  /** What a call that was entered does when it returns, whatever it returns. */
  readonly #returns = new Map<Call, (result: number) => void>();
  /** Writes that were entered: what they do where their process dies in them. */
  readonly #writes = new Map<Call, () => void>();

  /** `path` is there, empty and synced, before the first process starts. */
  constructor(path: string, root = new DiskDirectory()) {
    this.#path = path;
    this.root = root;
  }

  /** Takes in one half of a call. Throws where the model would have to guess. */
  take({ half, call }: Moment): void {
    if (half === "entered") {
      const then = this.#enter(call);
      if (then !== undefined) {
        this.#returns.set(call, then);
      }
    } else {
      this.#returns.get(call)?.(call.result ?? -1);
      this.#returns.delete(call);
      this.#writes.delete(call);
    }
  }

  /** The process is dead: what it was writing has reached the system, but nobody was told that it is synced. */
  end(): void {
    for (const finish of this.#writes.values()) {
      finish();
    }
    this.#writes.clear();
    this.#returns.clear();
  }

  #enter(call: Call): ((result: number) => void) | undefined {
    switch (call.name) {
      case "open":
      case "openat":
      case "creat":
        return this.#open(call);
      case "close":
        return (result) => void (result === 0 && this.#opened.delete(number(call, 0)));
      case "dup":
      case "dup2":
      case "dup3":
      case "fcntl":
        return this.#duplicate(call);
      case "fsync":
      case "fdatasync":
        return this.#sync(call);
      case "mkdir":
      case "mkdirat":
        return this.#changeName(call, (directory, name) => directory.add(name, new DiskDirectory()));
      case "unlink":
      case "unlinkat":
      case "rmdir":
        return this.#changeName(call, (directory, name) => directory.remove(name));
      case "rename":
      case "renameat":
      case "renameat2":
        return this.#rename(call);
      default:
        return this.#enterOpen(call);
    }
  }

  /** Calls on an open file. */
  #enterOpen(call: Call): ((result: number) => void) | undefined {
    const opened = this.#openedBy(call);
    if (opened === undefined) {
      return undefined;
    }
    switch (call.name) {
      case "write":
      case "writev":
        return this.#write(call, opened, opened.appends ? opened.node.size : opened.position);
      case "pwrite64":
        return this.#write(call, opened, number(call, -1));
      case "lseek":
        return (result) => void (result >= 0 && Object.assign(opened, { position: result }));
      case "ftruncate":
        return (result) => void (result === 0 && opened.node.resize(number(call, 1)));
      case "mmap":
        return call.parameters.includes("PROT_WRITE") && call.parameters.includes("MAP_SHARED")
          ? mustBeMapped(opened)
          : undefined;
      default:
        throw new Error(`teach the model of the disk ${call.name}(${call.parameters.slice(0, 200)})`);
    }
  }

  /** The tracked file that a call is about, if it is. */
  #openedBy(call: Call): (Opened & { readonly node: DiskFile }) | undefined {
    // libuv's other ring only tells epoll what to watch: UV_USE_IO_URING=0 leaves that one.
    if (call.name === "io_uring_setup" && call.parameters.includes("IORING_SETUP_SQPOLL")) {
      throw new Error("let the traced process use no io_uring: it writes without system calls");
    }
    const place = call.name === "mmap" ? 4 : 0;
    const opened = this.#opened.get(Number(call.parameters.split(", ").at(place)));
    return opened !== undefined && isFile(opened) ? opened : undefined;
  }

  #open(call: Call): ((result: number) => void) | undefined {
    const path = this.#tracked(call, 0);
    if (path === undefined) {
      return undefined;
    }
    const flags = new Set(/, ([A-Z_|]+)(, \d+)?$/.exec(call.parameters)?.[1]?.split("|"));
    return (result) => {
      if (result < 0) {
        return;
      }
      const node = this.#find(path) ?? this.#create(path);
      if (flags.has("O_TRUNC") && node instanceof DiskFile && node.size > 0) {
        node.resize(0);
      }
      const isSynced = flags.has("O_DSYNC") || flags.has("O_SYNC");
      this.#opened.set(result, { node, name: basename(path), isSynced, appends: flags.has("O_APPEND"), position: 0 });
    };
  }

  #create(path: string): DiskNode {
    const file = new DiskFile();
    this.#parent(path).add(basename(path), file);
    return file;
  }

  #duplicate(call: Call): ((result: number) => void) | undefined {
    if (call.name === "fcntl" && !call.parameters.includes("F_DUPFD")) {
      return undefined;
    }
    const opened = this.#opened.get(number(call, 0));
    return (result) => void (result >= 0 && opened !== undefined && this.#opened.set(result, opened));
  }

  #sync(call: Call): ((result: number) => void) | undefined {
    const synced = this.#opened.get(number(call, 0))?.node.beginSync();
    return (result) => synced?.(result === 0);
  }

  #write(call: Call, opened: Opened & { readonly node: DiskFile }, offset: number): (result: number) => void {
    const bytes = Buffer.concat(strings(call));
    const write = opened.node.begin(offset, bytes);
    this.#writes.set(call, () => write.done(bytes.length, false));
    return (result) => {
      if (call.name !== "pwrite64") {
        opened.position = offset + Math.max(result, 0);
      }
      write.done(result, opened.isSynced);
    };
  }

  #changeName(call: Call, change: (directory: DiskDirectory, name: string) => void): ((r: number) => void) | undefined {
    const path = this.#tracked(call, 0);
    return path === undefined
      ? undefined
      : (result) => void (result === 0 && change(this.#parent(path), basename(path)));
  }

  #rename(call: Call): ((result: number) => void) | undefined {
    const [from, to] = [this.#tracked(call, 0), this.#tracked(call, 1)];
    if (from === undefined && to === undefined) {
      return undefined;
    }
    if (from === undefined || to === undefined) {
      throw new Error("teach the model of the disk to rename into the directory that is traced, or out of it");
    }
    return (result) => void (result === 0 && this.#renamed(from, to));
  }

  /** From one directory into another: each may reach the disk without the other. */
  #renamed(from: string, to: string): void {
    const node = this.#find(from);
    if (dirname(from) === dirname(to)) {
      this.#parent(from).rename(basename(from), basename(to));
    } else if (node !== undefined) {
      this.#parent(to).add(basename(to), node);
      this.#parent(from).remove(basename(from));
    }
  }

  /** The path that a call names, below the root, or undefined where it is elsewhere. */
  #tracked(call: Call, which: number): string | undefined {
    const path = strings(call)[which]?.toString();
    if (path === undefined || !resolve(path).startsWith(this.#path + sep)) {
      return path !== undefined && resolve(path) === this.#path && call.name.startsWith("open") ? "" : undefined;
    }
    return relative(this.#path, resolve(path));
  }

  #find(path: string): DiskNode | undefined {
    let node: DiskNode | undefined = this.root;
    for (const name of path === "" ? [] : path.split(sep)) {
      node = node instanceof DiskDirectory ? node.names.get(name) : undefined;
    }
    return node;
  }

  #parent(path: string): DiskDirectory {
    const parent = this.#find(dirname(path) === "." ? "" : dirname(path));
    if (!(parent instanceof DiskDirectory)) {
      throw new Error(`trace from the start: nothing is known of the directory of ${path}`);
    }
    return parent;
  }
}

function isFile(opened: Opened): opened is Opened & { readonly node: DiskFile } {
  return opened.node instanceof DiskFile;
}

function mustBeMapped({ name }: Opened): undefined {
  if (name !== MAPPED) {
    throw new Error(`let no process write ${name} through a map: when that reaches the disk nobody knows`);
  }
}
