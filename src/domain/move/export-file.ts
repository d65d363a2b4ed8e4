/** Reads an export: all of it is checked before anything is made of it. */
import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { compareBytes } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import { EXPORT_LINE_BYTES, EXPORT_PIECE_BYTES } from "../../base/move-limits.ts";
import { type KeyValue, type LeaseId, NO_LEASE } from "../../engine/model.ts";
import {
  EXPORT_VERSION,
  type ExportEnd,
  type ExportedLease,
  type ExportHeader,
  readHeader,
  readLine,
} from "./export-lines.ts";
import { KeyIndex } from "./key-index.ts";
import { firstRevision } from "./rewrite.ts";

const LINE_END = 0x0a;
const FIRST_READ_BYTES = 4096;

export class ExportFile {
  readonly path: string;
  readonly #fd: number;
  #header: ExportHeader | undefined;
  #leases: readonly ExportedLease[] = [];
  readonly #index = new KeyIndex();

  private constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  /** Opens an export and checks every line of it. Error: `configInvalid`. */
  static open(path: string): ExportFile {
    const file = new ExportFile(path, openToRead(path));
    try {
      file.#check();
      return file;
    } catch (error) {
      file.close();
      throw error;
    }
  }

  get header(): ExportHeader {
    if (this.#header === undefined) throw new MusterError("internal", "Report this defect: an export was not read");
    return this.#header;
  }

  get leases(): readonly ExportedLease[] {
    return this.#leases;
  }

  /** Of each key when it is to be put first and last, by its place in the order of keys. */
  get index(): KeyIndex {
    return this.#index;
  }

  /** All keys in order of their bytes. */
  *keys(): Generator<KeyValue> {
    for (const { text } of linesOf(this.#fd)) {
      const line = readLine(text);
      if (line?.kind === "key") yield line.kv;
    }
  }

  /** The key at a place. */
  at(place: number): KeyValue {
    const line = readLine(lineAt(this.#fd, this.#index.offset(place)));
    if (line?.kind !== "key") throw this.#invalid("it was changed while it was read");
    return line.kv;
  }

  /** A key by its bytes; undefined where it is not there. */
  find(key: Uint8Array): KeyValue | undefined {
    let low = 0;
    let high = this.#index.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const kv = this.at(middle);
      const order = compareBytes(kv.key, key);
      if (order === 0) return kv;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return undefined;
  }

  close(): void {
    closeSync(this.#fd);
  }

  #check(): void {
    const check = new Check();
    for (const { text, bytes, offset } of linesOf(this.#fd)) {
      if (this.#header === undefined) {
        this.#header = this.#readHeader(text);
        check.hash(bytes);
      } else if (check.isOver) {
        throw this.#invalid("something stands behind its end");
      } else {
        const wrong = check.line(text, { header: this.#header, offset, bytes });
        if (wrong !== undefined) throw this.#invalid(`${wrong} (at byte ${offset})`);
        const { key } = check;
        if (key !== undefined) this.#index.add(firstRevision(key), key.modRevision, offset);
      }
    }
    if (!check.isOver) throw this.#invalid("its end is missing; it was cut off");
    this.#leases = check.leases;
  }

  #readHeader(text: string): ExportHeader {
    const header = readHeader(text);
    if (header === undefined) throw this.#invalid("it is none of Muster's");
    if (header.version !== EXPORT_VERSION) {
      throw this.#invalid(`its version is ${header.version}, this Muster reads ${EXPORT_VERSION}`);
    }
    return header;
  }

  #invalid(state: string): MusterError {
    return new MusterError("configInvalid", `Name a whole export of Muster's, not "${this.path}": ${state}`);
  }
}

interface Place {
  readonly header: ExportHeader;
  readonly offset: number;
  readonly bytes: Buffer;
}

/** Looks at line after line; what is wrong with one is what it answers. */
class Check {
  readonly leases: ExportedLease[] = [];
  readonly #ids = new Set<LeaseId>();
  readonly #hash = createHash("sha256");
  #keys = 0;
  #last: Uint8Array | undefined;
  /** The key of the last line, if it was one. */
  key: KeyValue | undefined;
  isOver = false;

  hash(bytes: Buffer): void {
    this.#hash.update(bytes);
  }

  line(text: string, { header, bytes }: Place): string | undefined {
    this.key = undefined;
    const line = readLine(text);
    if (line === undefined) return "a line is damaged";
    if (line.kind === "end") return this.#end(line.end);
    this.hash(bytes);
    return line.kind === "key" ? this.#takeKey(line.kv, header) : this.#takeLease(line.lease);
  }

  #takeKey(kv: KeyValue, header: ExportHeader): string | undefined {
    if (this.#last !== undefined && compareBytes(this.#last, kv.key) >= 0) return "its keys are not in order";
    if (kv.key.length === 0) return "a key is empty";
    if (kv.modRevision > header.revision) return "a key is newer than the whole";
    if (kv.lease !== NO_LEASE && !this.#ids.has(kv.lease)) return `there is no lease "${kv.lease}" for a key`;
    this.#last = kv.key;
    this.#keys++;
    this.key = kv;
    return undefined;
  }

  #takeLease(lease: ExportedLease): string | undefined {
    if (this.#keys > 0) return "a lease stands behind keys";
    if (this.#ids.has(lease.id)) return `the lease "${lease.id}" is there twice`;
    this.#ids.add(lease.id);
    this.leases.push(lease);
    return undefined;
  }

  #end({ leases, keys, sha256 }: ExportEnd): string | undefined {
    this.isOver = true;
    if (this.#hash.digest("hex") !== sha256) return "its checksum is not that of its content";
    return leases === this.leases.length && keys === this.#keys ? undefined : "lines of it are missing";
  }
}

interface Line {
  readonly text: string;
  /** With its line end. */
  readonly bytes: Buffer;
  readonly offset: number;
}

/** Lines with their line ends; what stands behind the last line end is a line that was cut off. */
function* linesOf(fd: number): Generator<Line> {
  let offset = 0;
  let rest: Buffer = Buffer.alloc(0);
  for (let position = 0; ; ) {
    const piece = Buffer.allocUnsafe(EXPORT_PIECE_BYTES);
    const read = readSync(fd, piece, 0, piece.length, position);
    if (read === 0) break;
    position += read;
    rest = rest.length === 0 ? piece.subarray(0, read) : Buffer.concat([rest, piece.subarray(0, read)]);
    if (rest.length > EXPORT_LINE_BYTES) break;
    let from = 0;
    for (let end = rest.indexOf(LINE_END); end !== -1; end = rest.indexOf(LINE_END, from)) {
      const bytes = rest.subarray(from, end + 1);
      yield { text: bytes.toString("latin1", 0, bytes.length - 1), bytes, offset };
      offset += bytes.length;
      from = end + 1;
    }
    rest = rest.subarray(from);
  }
  if (rest.length > 0) yield { text: "", bytes: rest, offset };
}

function lineAt(fd: number, offset: number): string {
  let buffer = Buffer.allocUnsafe(FIRST_READ_BYTES);
  for (;;) {
    const read = readSync(fd, buffer, 0, buffer.length, offset);
    const end = buffer.subarray(0, read).indexOf(LINE_END);
    if (end !== -1) return buffer.toString("latin1", 0, end);
    if (read < buffer.length || buffer.length > EXPORT_LINE_BYTES) return "";
    buffer = Buffer.allocUnsafe(buffer.length * 4);
  }
}

function openToRead(path: string): number {
  try {
    const fd = openSync(path, "r");
    // A directory opens as well, and says so only when it is read.
    try {
      readSync(fd, Buffer.alloc(1), 0, 1, 0);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    return fd;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new MusterError("configInvalid", `Name an export that can be read, not "${path}": ${reason}`, { cause });
  }
}
