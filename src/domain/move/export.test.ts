import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { NO_BYTES, text, utf8 } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import { EXPORT_ATTEMPTS } from "../../base/move-limits.ts";
import type { Engine } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import type { RangeRequest } from "../../engine/model.ts";
import { ExportFile } from "./export-file.ts";
import { exportStore } from "./export-writer.ts";

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);

let scratch: string;
let engine: Engine;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), "muster-export-"));
  engine = openMemoryEngine();
});

afterEach(async () => {
  await engine.close();
  await rm(scratch, { recursive: true });
});

const put = (key: string, value: string, lease = 0n) =>
  engine.txn({
    compares: [],
    success: [{ kind: "put", request: { key: utf8(key), value: utf8(value), lease } }],
    failure: [],
  });

async function exported(from: Engine = engine): Promise<string> {
  const file = join(scratch, "store.export");
  await exportStore({ engine: from, file, now: NOW });
  return file;
}

async function lines(file: string): Promise<unknown[]> {
  const content = await readFile(file, "utf8");
  expect(content.endsWith("\n")).toBe(true);
  return content
    .slice(0, -1)
    .split("\n")
    .map((line): unknown => JSON.parse(line));
}

function base64(of: string): string {
  return Buffer.from(of).toString("base64");
}

describe("exportStore", () => {
  it("writes what docs/moving.md describes, for its owner alone", async () => {
    await engine.grantLease({ id: 12n, ttl: 60 });
    await put("\0f/b", "{}");
    await put("b", "1", 12n);
    await put("b", "2", 12n);
    await put("\0store/lease/12", "the engine's");
    await put("\0pid", "a clock's");
    const file = await exported();
    expect(await lines(file)).toEqual([
      { muster: "export", version: 1, revision: 6, compactRevision: 0, at: "2026-01-02T03:04:05.000Z" },
      { lease: "12", ttl: 60, left: expect.any(Number) },
      { key: base64("\0f/b"), value: base64("{}"), create: 2, mod: 2, version: 1 },
      { key: base64("b"), value: base64("2"), create: 3, mod: 4, version: 2, lease: "12" },
      { end: true, leases: 1, keys: 2, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
    ]);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it("never writes over a file", async () => {
    const file = await exported();
    const before = await readFile(file);
    await expect(exported()).rejects.toMatchObject({ code: "configInvalid", message: expect.stringContaining(file) });
    expect(await readFile(file)).toEqual(before);
  });

  it("leaves nothing where the store fails", async () => {
    await put("a", "1");
    const failing = wrapped(async () => {
      throw new MusterError("storeUnavailable", "Start etcd: it is gone");
    });
    await expect(exported(failing)).rejects.toMatchObject({ code: "storeUnavailable" });
    expect(await readdir(scratch)).toEqual([]);
  });

  it("begins anew at a later moment where its own is compacted", async () => {
    for (let n = 0; n < 200; n++) await put(`k${n}`, "x".repeat(n));
    let pages = 0;
    const compacted = wrapped(async (request) => {
      // Behind the first page of the first attempt somebody writes, and forgets what was before.
      if (++pages === 2) await engine.compact((await put("later", "1")).revision);
      return engine.range(request);
    });
    const file = await exported(compacted);
    expect((await lines(file))[0]).toMatchObject({ revision: 202, compactRevision: 202 });
    using read = opened(file);
    const keys = [...read.export.keys()];
    expect(keys.map(({ key }) => text(key))).toEqual(
      (await engine.range({ key: NO_BYTES, end: null })).kvs.map(({ key }) => text(key)),
    );
  });

  it("gives up where every moment is compacted before it is read, and says why", async () => {
    for (let n = 0; n < 200; n++) await put(`k${n}`, "1");
    let attempts = 0;
    const compacting = wrapped(async (request) => {
      if (request.key.length === 0) attempts++;
      await engine.compact((await put("later", "1")).revision);
      return engine.range(request);
    });
    await expect(exported(compacting)).rejects.toMatchObject({ code: "compacted" });
    expect(attempts).toBe(EXPORT_ATTEMPTS);
  });

  it("leaves out a key whose lease ended while the export was made", async () => {
    await engine.grantLease({ id: 12n, ttl: 60 });
    await put("a", "1", 12n);
    await put("b", "1");
    let isOver = false;
    const ending = wrapped((request) => engine.range(request), {
      leases: async () => {
        isOver = true;
        await engine.revokeLease(12n);
        return engine.leases();
      },
    });
    using read = opened(await exported(ending));
    expect(isOver).toBe(true);
    expect([...read.export.keys()].map(({ key }) => text(key))).toEqual(["b"]);
  });

  it("refuses a key that hangs on somebody else's lease, by its name", async () => {
    await engine.grantLease({ id: 12n, ttl: 60 });
    await put("theirs", "1", 12n);
    const shared = wrapped((request) => engine.range(request), { leases: async () => [] });
    await expect(exported(shared)).rejects.toMatchObject({ message: expect.stringContaining('"theirs"') });
  });

  function wrapped(range: (request: RangeRequest) => ReturnType<Engine["range"]>, rest: Partial<Engine> = {}): Engine {
    return new Proxy(engine, {
      get: (target, name) => {
        if (name === "range") return range;
        const own: unknown = Reflect.get(rest, name) ?? Reflect.get(target, name);
        return typeof own === "function" ? own.bind(target) : own;
      },
    });
  }
});

describe("ExportFile.open", () => {
  async function refusal(file: string): Promise<string> {
    try {
      ExportFile.open(file).close();
      return "";
    } catch (error) {
      expect(error).toMatchObject({ code: "configInvalid" });
      return error instanceof Error ? error.message : "";
    }
  }

  it("finds keys by their bytes and by their places, long ones too", async () => {
    const long = "x".repeat(100_000);
    for (const name of ["b", "a", "c"]) await put(name, name === "b" ? long : name);
    using read = opened(await exported());
    expect([0, 1, 2].map((place) => text(read.export.at(place).key))).toEqual(["a", "b", "c"]);
    expect(text(read.export.find(utf8("b"))?.value ?? NO_BYTES)).toBe(long);
    expect(read.export.find(utf8("bb"))).toBeUndefined();
  });

  it("refuses a file that was cut off, at whatever byte", async () => {
    await engine.grantLease({ id: 12n, ttl: 60 });
    await put("a", "1", 12n);
    const file = await exported();
    const { size } = await stat(file);
    for (let end = size - 1; end >= 0; end--) {
      await truncate(file, end);
      expect(await refusal(file), `cut at ${end}`).not.toBe("");
    }
  });

  it("refuses a file in which any byte is another", async () => {
    await put("a", "1");
    const file = await exported();
    const whole = await readFile(file);
    for (let at = 0; at < whole.length; at++) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] ?? 0) ^ 1;
      await writeFile(file, changed);
      expect(await refusal(file), `changed at ${at}`).not.toBe("");
    }
  });

  it("says what it was given instead of an export", async () => {
    const file = join(scratch, "other");
    await writeFile(file, '{"muster":"export","version":2,"revision":1,"compactRevision":0,"at":""}\n');
    expect(await refusal(file)).toContain("its version is 2, this Muster reads 1");
    await writeFile(file, "hello\n");
    expect(await refusal(file)).toContain("none of Muster's");
    expect(await refusal(scratch)).toContain("EISDIR");
    expect(await refusal(join(scratch, "missing"))).toContain("ENOENT");
  });
});

function opened(path: string): Disposable & { readonly export: ExportFile } {
  const file = ExportFile.open(path);
  return { export: file, [Symbol.dispose]: () => file.close() };
}
