import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DataDirectory } from "./data-directory.ts";

let parent = "";
let path = "";

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), "muster-directory-"));
  path = join(parent, "a", "data");
});

afterEach(async () => {
  await rm(parent, { recursive: true });
});

/** Makes a store as far as this file goes: with a data file that LMDB would take for a sound one. */
async function makeStore(): Promise<void> {
  const directory = DataDirectory.open(path);
  await writeFile(join(path, "data.mdb"), emptyLmdbFile());
  directory.commit();
  directory.close();
}

/** Two meta pages and no tree. */
function emptyLmdbFile(): Buffer {
  const bytes = Buffer.alloc(8192);
  for (const page of [0, 1]) {
    const at = page * 4096;
    bytes.writeBigUInt64LE(BigInt(page), at);
    bytes.writeUInt16LE(0x08, at + 18);
    bytes.writeUInt32LE(0xbeefc0de, at + 24);
    bytes.writeUInt32LE(2, at + 28);
    bytes.writeUInt32LE(4096, at + 48);
    bytes.fill(0xff, at + 24 + 64, at + 24 + 72);
    bytes.fill(0xff, at + 24 + 112, at + 24 + 120);
    bytes.writeBigUInt64LE(1n, at + 24 + 120);
  }
  return bytes;
}

async function content(): Promise<Record<string, string>> {
  const names = (await readdir(path)).filter((name) => name !== "LOCK");
  const entries = names.map(async (name) => [name, (await readFile(join(path, name))).toString("latin1")] as const);
  return Object.fromEntries(await Promise.all(entries));
}

async function expectRefused(code: string, message: RegExp): Promise<void> {
  const before = await content();
  expect(() => DataDirectory.open(path)).toThrowError(
    expect.objectContaining({ code, message: expect.stringMatching(message) }),
  );
  expect(() => DataDirectory.open(path)).toThrowError(
    expect.objectContaining({ message: expect.stringContaining(path) }),
  );
  expect(await content()).toEqual(before);
}

/** Another process that has the directory's lock, as a Muster would. */
async function otherOwner(): Promise<{ kill(): Promise<void> }> {
  const library = createRequire(import.meta.url).resolve("fs-native-extensions");
  const script = `
    const fd = require("node:fs").openSync(process.argv[2], "a+");
    process.stdout.write(String(require(process.argv[1]).tryLock(fd)));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["-e", script, library, join(path, "LOCK")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [answer] = await once(child.stdout, "data");
  expect(String(answer)).toBe("true");
  return {
    kill: async () => {
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    },
  };
}

describe("DataDirectory: a new one", () => {
  it("open: makes what is missing, for its owner alone, and says that a store has to be made", async () => {
    const directory = DataDirectory.open(path);
    expect(directory.isNew).toBe(true);
    expect((await stat(path)).mode & 0o777).toBe(0o700);
    directory.close();
  });

  it("open: says why nothing can be made there, and does not try for ever", () => {
    const opening = () => DataDirectory.open("/proc/muster/data");
    expect(opening).toThrow(expect.objectContaining({ code: "storeUnavailable" }));
  });

  it("open: takes an empty directory, also at the root of a file system", async () => {
    await mkdir(join(path, "lost+found"), { recursive: true });
    const directory = DataDirectory.open(path);
    expect(directory.isNew).toBe(true);
    directory.close();
  });

  it("commit: declares the store, which then is found", async () => {
    await makeStore();
    expect(await readFile(join(path, "FORMAT"), "utf8")).toBe("muster-lmdb 1\n");
    const directory = DataDirectory.open(path);
    expect(directory.isNew).toBe(false);
    directory.close();
  });

  it.each<[string, Record<string, string>]>([
    ["the note", { LOCK: "", "FORMAT.new": "mus" }],
    ["LMDB's files", { LOCK: "", "FORMAT.new": "muster-lmdb 1\n", "data.mdb": "half", "lock.mdb": "half" }],
  ])("open: starts over where a process died after it had made %s", async (_title, files) => {
    await mkdir(path, { recursive: true });
    for (const [name, text] of Object.entries(files)) {
      await writeFile(join(path, name), text);
    }
    const directory = DataDirectory.open(path);
    expect(directory.isNew).toBe(true);
    expect(await content()).toEqual({ "FORMAT.new": "muster-lmdb 1\n" });
    directory.close();
  });
});

describe("DataDirectory: owned by one", () => {
  it("open: refuses a second opener in the process, until the first closes", async () => {
    const first = DataDirectory.open(path);
    await expectRefused("directoryInUse", /^Stop the other Muster.* in use$/);
    first.close();
    first.close();
    DataDirectory.open(path).close();
  });

  it("open: refuses while another process owns it, and works at once when that is killed", async () => {
    await makeStore();
    const owner = await otherOwner();
    await expectRefused("directoryInUse", /in use/);
    await owner.kill();
    DataDirectory.open(path).close();
  });

  it("open: one that was refused leaves the directory free", async () => {
    await makeStore();
    await rm(join(path, "data.mdb"));
    expect(() => DataDirectory.open(path)).toThrow();
    await writeFile(join(path, "data.mdb"), emptyLmdbFile());
    DataDirectory.open(path).close();
  });
});

describe("DataDirectory: refused and left as it is", () => {
  it("open: a newer format", async () => {
    await makeStore();
    await writeFile(join(path, "FORMAT"), "muster-lmdb 2\n");
    await expectRefused("directoryTooNew", /its format is 2, this Muster knows up to 1/);
  });

  it.each(["", "muster-lmdb\n", "muster-lmdb 1", "muster-lmdb 0\n", "etcd 3\n", "\0\0\0\0"])(
    "open: a file FORMAT that says %j",
    async (text) => {
      await makeStore();
      await writeFile(join(path, "FORMAT"), text);
      await expectRefused("directoryCorrupt", /FORMAT says/);
    },
  );

  it("open: FORMAT without data", async () => {
    await makeStore();
    await rm(join(path, "data.mdb"));
    await expectRefused("directoryCorrupt", /no data\.mdb/);
  });

  it("open: data without FORMAT", async () => {
    await makeStore();
    await rm(join(path, "FORMAT"));
    await expectRefused("directoryCorrupt", /no file FORMAT/);
  });

  it("open: what is somebody else's, without so much as a file LOCK in it", async () => {
    await mkdir(path, { recursive: true });
    await writeFile(join(path, "thesis.tex"), "\\section{}");
    await expectRefused(
      "directoryCorrupt",
      /^Choose a data directory that is empty .* it holds "thesis\.tex" and nothing of Muster's$/,
    );
    expect(await readdir(path)).toEqual(["thesis.tex"]);
  });

  it("open: a store without a file LOCK gets none, if it is refused", async () => {
    await makeStore();
    await rm(join(path, "LOCK"));
    await writeFile(join(path, "FORMAT"), "muster-lmdb 2\n");
    await expectRefused("directoryTooNew", /its format is 2/);
    await writeFile(join(path, "FORMAT"), "muster-lmdb 1\n");
    await writeFile(join(path, "data.mdb"), emptyLmdbFile().subarray(0, 5000));
    await expectRefused("directoryCorrupt", /only 5000 bytes/);
    expect(await readdir(path)).not.toContain("LOCK");
  });

  it("open: a data file that LMDB would die of", async () => {
    await makeStore();
    await writeFile(join(path, "data.mdb"), emptyLmdbFile().subarray(0, 5000));
    await expectRefused("directoryCorrupt", /data\.mdb is damaged: it has only 5000 bytes/);
  });

  it("open: a file where the directory should be", async () => {
    await mkdir(join(parent, "a"));
    await writeFile(path, "");
    expect(() => DataDirectory.open(path)).toThrowError(
      expect.objectContaining({ code: "storeUnavailable", message: expect.stringContaining("EEXIST") }),
    );
  });

  it.skipIf(process.getuid?.() === 0)("open: a directory that is not writable", async () => {
    await mkdir(path, { recursive: true });
    await chmod(path, 0o500);
    expect(() => DataDirectory.open(path)).toThrowError(
      expect.objectContaining({ code: "storeUnavailable", message: expect.stringContaining("EACCES") }),
    );
  });

  it("open: a copy is as good as what it was copied from", async () => {
    await makeStore();
    await cp(path, join(parent, "copy"), { recursive: true });
    DataDirectory.open(join(parent, "copy")).close();
  });
});
