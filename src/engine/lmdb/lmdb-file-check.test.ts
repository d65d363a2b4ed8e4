import { mkdtemp, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silentLog } from "../../base/log.ts";
import { checkLmdbFile } from "./lmdb-file-check.ts";
import type { Tables } from "./lmdb-open.ts";
import { LmdbStore } from "./lmdb-store.ts";

const PAGE = 4096;
/** Where the newest of the two meta pages says what the last page is. */
const LAST_PAGE_OFFSET = 24 + 120;

let directory = "";
let file = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "muster-file-check-"));
  file = join(directory, "data.mdb");
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

async function makeStore(...writes: ((tables: Tables) => void)[]): Promise<void> {
  const store = await LmdbStore.open({ directory, isNew: true, log: silentLog });
  for (const write of writes) {
    await store.write(write);
  }
  await store.close();
}

function fill(count: number): (tables: Tables) => void {
  return ({ keys, past }) => {
    for (let index = 0; index < count; index++) {
      keys.putSync(Buffer.from(`k${index}`), Buffer.alloc(index % 50 === 0 ? 3 * PAGE : 200));
      past.putSync(Buffer.from(`p${index % 3}`), [index, index + 1, 0]);
    }
  };
}

/** Takes new pages at the end of the file, and frees them in the same transaction. */
function fillAndEmpty(count: number): (tables: Tables) => void {
  return ({ keys }) => {
    for (let index = 0; index < count; index++) {
      keys.putSync(Buffer.from(`x${index}`), Buffer.alloc(200));
    }
    for (let index = 1; index < count; index++) {
      keys.removeSync(Buffer.from(`x${index}`));
    }
  };
}

async function isShort(): Promise<boolean> {
  const bytes = await readFile(file);
  const lastPages = [0, PAGE].map((offset) => Number(bytes.readBigUInt64LE(offset + LAST_PAGE_OFFSET)));
  return bytes.length < (Math.max(...lastPages) + 1) * PAGE;
}

async function patch(change: (bytes: Buffer) => void): Promise<string | undefined> {
  const bytes = await readFile(file);
  change(bytes);
  await writeFile(file, bytes);
  return checkLmdbFile(file);
}

describe("checkLmdbFile", () => {
  it("finds nothing wrong with what LMDB writes, empty or full", async () => {
    await makeStore();
    expect(checkLmdbFile(file)).toBeUndefined();
    await rm(directory, { recursive: true });
    directory = await mkdtemp(join(tmpdir(), "muster-file-check-"));
    file = join(directory, "data.mdb");
    await makeStore(fill(1000), fill(500));
    expect(checkLmdbFile(file)).toBeUndefined();
  });

  it("passes a file that ends before pages which were freed unwritten", async () => {
    let short = 0;
    for (let count = 100; count <= 1000; count += 100) {
      await makeStore(fill(20), fillAndEmpty(count));
      expect(checkLmdbFile(file)).toBeUndefined();
      short += (await isShort()) ? 1 : 0;
      await rm(file);
    }
    expect(short).toBeGreaterThan(0);
  });

  it.each([0, 10, PAGE, 2 * PAGE, 3 * PAGE, 20 * PAGE])("tells a file cut off at %i bytes", async (length) => {
    await makeStore(fill(1000));
    expect((await stat(file)).size).toBeGreaterThan(20 * PAGE);
    await truncate(file, length);
    expect(checkLmdbFile(file)).toMatch(/bytes|page/);
  });

  it("tells a file that lacks its last page, where that is in use", async () => {
    await makeStore(fill(1000));
    await truncate(file, (await stat(file)).size - 1);
    expect(checkLmdbFile(file)).toMatch(/cut off/);
  });

  it("tells any page in use that was zeroed, in a file of full length", async () => {
    await makeStore(fill(1000));
    const bytes = await readFile(file);
    const pages = bytes.length / PAGE;
    let told = 0;
    let blind = 0;
    for (let page = 2; page < pages; page++) {
      const damaged = Buffer.from(bytes);
      damaged.fill(0, page * PAGE, (page + 1) * PAGE);
      await writeFile(file, damaged);
      told += checkLmdbFile(file) === undefined ? 0 : 1;
      blind += checkLmdbFile(file, bytes.length - 1) === undefined ? 1 : 0;
    }
    // The rest are free, or behind the first page of a large value.
    expect(told).toBeGreaterThan(0.6 * pages);
    expect(blind).toBeGreaterThan(0.9 * pages);
  });

  it("tells a page that leads back to itself, and ends", async () => {
    await makeStore(fill(1000));
    const bytes = await readFile(file);
    for (let page = 2; page < bytes.length / PAGE; page++) {
      if ((bytes.readUInt16LE(page * PAGE + 18) & 0x01) !== 0) {
        const first = page * PAGE + 24 + bytes.readUInt16LE(page * PAGE + 24);
        bytes.writeUIntLE(page, first, 6);
      }
    }
    await writeFile(file, bytes);
    expect(checkLmdbFile(file)).toMatch(/^page \d+ stands in two places$/);
  });

  it("tells foreign and damaged meta pages", async () => {
    await makeStore(fill(10));
    expect(await patch((bytes) => bytes.fill(0x2a, PAGE, 2 * PAGE))).toMatch(/byte 4096 is not a meta page/);
    expect(await patch((bytes) => bytes.fill(0, 0, PAGE))).toMatch(/byte 0 is not a meta page/);
    await writeFile(file, "somebody's own data\n".repeat(1000));
    expect(checkLmdbFile(file)).toMatch(/not a meta page/);
  });

  it("tells another data version, and a page size that cannot be", async () => {
    await makeStore(fill(10));
    expect(await patch((bytes) => bytes.writeUInt32LE(4095, 24 + 24))).toMatch(/a page has 4095 bytes/);
    expect(await patch((bytes) => bytes.writeUInt32LE(1, 24 + 4))).toMatch(/data version 1, not 2/);
  });

  it("tells a root page that is none, of the whole and of a table", async () => {
    await makeStore(fill(10));
    const root = await readFile(file).then((bytes) => {
      const newest = bytes.readBigUInt64LE(24 + 128) > bytes.readBigUInt64LE(PAGE + 24 + 128) ? 0 : PAGE;
      return Number(bytes.readBigUInt64LE(newest + 24 + 72 + 40));
    });
    const table = await readFile(file).then((bytes) => {
      const page = bytes.subarray(root * PAGE, (root + 1) * PAGE);
      const node = page.readUInt16LE(24) + 24;
      return Number(page.readBigUInt64LE(node + 8 + page.readUInt16LE(node + 6) + 40));
    });
    expect(await patch((bytes) => bytes.fill(0, table * PAGE, (table + 1) * PAGE))).toBe(
      `page ${table} is not the tree page it should be`,
    );
    expect(await patch((bytes) => bytes.fill(0, root * PAGE, (root + 1) * PAGE))).toBe(
      `page ${root} is not the tree page it should be`,
    );
  });
});
