import { describe, expect, it } from "vitest";
import { DiskDirectory, DiskFile, type DiskNode, type Fate } from "./disk.ts";
import { fateOf } from "./power-cut.ts";
import { TraceReader } from "./trace.ts";
import { TracedFiles } from "./traced-files.ts";

const NOTHING = fateOf("nothing", () => 0);
const EVERYTHING = fateOf("everything", () => 0);

const hex = (text: string) => Buffer.from(text).toString("hex").replace(/../g, "\\x$&");

/** A trace as a person writes it: `"texts"` become hexadecimal, every line is of thread 7 unless it begins with another. */
function play(lines: readonly string[], files = new TracedFiles("/d")): TracedFiles {
  const reader = new TraceReader();
  for (const line of lines) {
    const encoded = line.replace(/"([^"]*)"/g, (_, text: string) => `"${hex(text)}"`);
    for (const moment of reader.read(/^\d+ /.test(encoded) ? encoded : `7 ${encoded}`)) {
      files.take(moment);
    }
  }
  return files;
}

/** The directory after a power cut, as text. */
function held(node: DiskNode, fate: Fate): unknown {
  return node instanceof DiskFile
    ? node.after(fate).toString("latin1")
    : Object.fromEntries([...node.after(fate)].map(([name, below]) => [name, held(below, fate)]));
}

const left = (lines: readonly string[]) => held(play(lines).root, NOTHING);

const OPEN = 'openat(AT_FDCWD, "/d/f", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 3';
const NAMED = ['openat(AT_FDCWD, "/d", O_RDONLY|O_CLOEXEC) = 4', "fsync(4) = 0", "close(4) = 0"];

describe("a traced disk: what a power cut leaves", () => {
  it("of a file whose directory was not synced: nothing, or all", () => {
    const lines = [OPEN, 'write(3, "abc", 3) = 3', "fsync(3) = 0"];
    expect(left(lines)).toEqual({});
    expect(held(play(lines).root, EVERYTHING)).toEqual({ f: "abc" });
    expect(left([...lines, ...NAMED])).toEqual({ f: "abc" });
  });

  it("of a write: nothing until a sync of that file returned that began after it", () => {
    const written = [OPEN, ...NAMED, 'pwrite64(3, "abc", 3, 1) = 3'];
    expect(left(written)).toEqual({ f: "" });
    expect(left([...written, "fdatasync(3 <unfinished ...>"])).toEqual({ f: "" });
    const synced = [...written, "fdatasync(3 <unfinished ...>", '8 pwrite64(3, "x", 1, 0) = 1'];
    expect(left([...synced, "<... fdatasync resumed>) = 0"])).toEqual({ f: "\0abc" });
    expect(left([...synced, "<... fdatasync resumed>) = -1 EIO (Input/output error)"])).toEqual({ f: "" });
  });

  it("of a write whose sync failed: nothing for certain, however often it is synced again", () => {
    const failed = [OPEN, ...NAMED, 'pwrite64(3, "abc", 3, 0) = 3', "fdatasync(3) = -1 EIO (Input/output error)"];
    expect(left([...failed, "fdatasync(3) = 0"])).toEqual({ f: "" });
    expect(left([...failed, 'pwrite64(3, "xyz", 3, 0) = 3', "fdatasync(3) = 0"])).toEqual({ f: "xyz" });
  });

  it("of a write that another thread's sync overlaps: nothing", () => {
    const lines = [
      ...[OPEN, ...NAMED, '8 pwrite64(3, "abc", 3, 0 <unfinished ...>', "fdatasync(3 <unfinished ...>"],
      ...["8 <... pwrite64 resumed>) = 3", "<... fdatasync resumed>) = 0"],
    ];
    expect(left(lines)).toEqual({ f: "" });
    expect(left([...lines, "fdatasync(3) = 0"])).toEqual({ f: "abc" });
  });

  it("of a write through a descriptor that syncs: that write, and no other", () => {
    const opened = [OPEN, ...NAMED, 'openat(AT_FDCWD, "/d/f", O_WRONLY|O_DSYNC) = 5'];
    const lines = [...opened, 'pwrite64(3, "ab", 2, 0) = 2', 'pwrite64(5, "Z", 1, 2 <unfinished ...>'];
    expect(left(lines)).toEqual({ f: "" });
    expect(left([...lines, "<... pwrite64 resumed>) = 1"])).toEqual({ f: "\0\0Z" });
  });

  it("a sync through another descriptor of the file counts, one of another file does not", () => {
    const other = 'openat(AT_FDCWD, "/d/g", O_RDWR|O_CREAT, 0600) = 6';
    const lines = [OPEN, other, ...NAMED, "dup(3) = 9", 'write(3, "ab", 2) = 2', 'write(9, "cd", 2) = 2'];
    expect(left([...lines, "fsync(6) = 0"])).toEqual({ f: "", g: "" });
    const again = 'openat(AT_FDCWD, "/d/f", O_RDONLY) = 8';
    expect(left([...lines, "close(3) = 0", again, "fsync(8) = 0"])).toEqual({ f: "abcd", g: "" });
  });

  it("of writev, lseek, ftruncate and O_TRUNC: what they do", () => {
    const parts = 'writev(3, [{iov_base="ab", iov_len=2}, {iov_base="cd", iov_len=2}], 2) = 4';
    const lines = [OPEN, ...NAMED, "lseek(3, 2, SEEK_SET) = 2", parts, "fsync(3) = 0"];
    expect(left(lines)).toEqual({ f: "\0\0abcd" });
    expect(left([...lines, "ftruncate(3, 3) = 0", "fsync(3) = 0"])).toEqual({ f: "\0\0a" });
    const truncated = [...lines, 'openat(AT_FDCWD, "/d/f", O_WRONLY|O_CREAT|O_TRUNC, 0600) = 5'];
    expect(left(truncated)).toEqual({ f: "\0\0abcd" });
    expect(left([...truncated, "fsync(3) = 0"])).toEqual({ f: "" });
  });

  it("of names: all that was synced, and then the first ones, in order", () => {
    const renamed = [OPEN, ...NAMED, 'rename("/d/f", "/d/g") = 0', 'mkdir("/d/h", 0700) = 0', 'unlink("/d/g") = 0'];
    const { root } = play(renamed);
    const first = (count: number): Fate => {
      let left = count;
      return { ...NOTHING, name: () => left-- > 0 };
    };
    expect([0, 1, 2, 3].map((count) => held(root, first(count)))).toEqual([
      { f: "" },
      { g: "" },
      { g: "", h: {} },
      { h: {} },
    ]);
  });

  it("of a torn write: sectors of old and new bytes", () => {
    const file = new DiskFile();
    file.begin(0, Buffer.alloc(2048, "o")).done(2048, true);
    file.begin(500, Buffer.alloc(600, "n")).done(600, false);
    let sector = 0;
    const bytes = file.after({ write: () => "torn", sector: () => sector++ % 2 === 0, name: () => true });
    const expected = Buffer.alloc(2048, "o").fill("n", 500, 512).fill("n", 1024, 1100);
    expect(bytes.equals(expected)).toBe(true);
  });

  it("of a process that died while it wrote: what the next one syncs", () => {
    const dead = play([OPEN, ...NAMED, 'pwrite64(3, "abc", 3, 0 <unfinished ...>', "+++ killed by SIGKILL +++"]);
    dead.end();
    expect(held(dead.root, NOTHING)).toEqual({ f: "" });
    const next = play(['openat(AT_FDCWD, "/d/f", O_RDWR) = 3', "fsync(3) = 0"], new TracedFiles("/d", dead.root));
    expect(held(next.root, NOTHING)).toEqual({ f: "abc" });
  });

  it.each([
    ["fallocate(3, 0, 0, 4096) = 0"],
    ["mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 3, 0) = 0x7f0000000000"],
    ["io_uring_setup(64, {flags=IORING_SETUP_SQPOLL, sq_thread_idle=10}) = 5"],
    ["rename(something else"],
  ])("what the model does not know is an error: %s", (line) => {
    expect(() => play([OPEN, line])).toThrow(/^(teach|let)/);
  });

  it("other files and other descriptors are none of it", () => {
    expect(left(['openat(AT_FDCWD, "/e/f", O_RDWR|O_CREAT, 0600) = 3', 'write(1, "abc", 3) = 3'])).toEqual({});
    expect(new DiskDirectory().after(NOTHING).size).toBe(0);
  });
});
