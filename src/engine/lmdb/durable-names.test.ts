import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { systemClock } from "../../base/clock.ts";
import { openLmdbEngine } from "./lmdb-engine.ts";

/** What was synced and renamed, in order; and a directory that may not be read. */
const seen = vi.hoisted(() => ({ calls: [] as string[], secret: "" }));

vi.mock("node:fs", async (importOriginal) => {
  const actual = await importOriginal<typeof import("node:fs")>();
  const names = new Map<number, string>();
  return {
    ...actual,
    openSync: (path: string, flags: string, mode?: number) => {
      if (path === seen.secret) {
        throw Object.assign(new Error("EACCES: permission denied"), { code: "EACCES" });
      }
      const fd = actual.openSync(path, flags, mode);
      names.set(fd, path);
      return fd;
    },
    fsyncSync: (fd: number) => {
      seen.calls.push(`sync ${basename(names.get(fd) ?? "")}`);
      actual.fsyncSync(fd);
    },
    fsync: (fd: number, done: (error: Error | null) => void) => {
      seen.calls.push(`sync ${basename(names.get(fd) ?? "")}`);
      actual.fsync(fd, done);
    },
    renameSync: (from: string, to: string) => {
      seen.calls.push(`rename ${basename(from)} ${basename(to)}`);
      actual.renameSync(from, to);
    },
  };
});

let parent = "";
let directory = "";

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), "muster-names-"));
  directory = join(parent, "data");
  seen.calls = [];
  seen.secret = "";
});

afterEach(async () => {
  await rm(parent, { recursive: true });
});

async function openAndClose(): Promise<void> {
  const engine = await openLmdbEngine({ directory, clock: systemClock });
  await engine.close();
}

describe("openLmdbEngine: what is durable when", () => {
  it("declares a store only when the names of its files are durable, and then makes its own name so", async () => {
    await openAndClose();
    expect(seen.calls).toEqual([
      `sync ${basename(parent)}`,
      "sync FORMAT.new",
      "sync data",
      "sync data",
      "rename FORMAT.new FORMAT",
      "sync data",
      `sync ${basename(parent)}`,
    ]);
  });

  it("makes what an earlier process wrote durable before it reads it", async () => {
    await openAndClose();
    seen.calls = [];
    await openAndClose();
    expect(seen.calls).toEqual(["sync data.mdb", "sync data"]);
  });

  it("makes a store also below a directory that it may not read", async () => {
    seen.secret = parent;
    await openAndClose();
    expect(seen.calls).toContain("rename FORMAT.new FORMAT");
  });
});
