import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { EXIT_FAILURE, EXIT_OK, EXIT_USAGE, runMuster } from "../../src/cli/program.ts";
import { MovingPlace } from "../support/moving.ts";

let place: MovingPlace;

beforeEach(async () => {
  place = await MovingPlace.make();
});

afterEach(() => place[Symbol.asyncDispose]());

async function run(...args: readonly string[]): Promise<{ readonly code: number; readonly told: string }> {
  let told = "";
  const take = (text: string) => {
    told += text;
  };
  const code = await runMuster({ args, env: {}, stdout: take, stderr: take });
  return { code, told };
}

/** A data directory with one key, which nobody uses. */
async function directoryWithKey(): Promise<string> {
  const directory = place.path();
  const engine = await place.lmdb(directory);
  await engine.txn({
    compares: [],
    success: [{ kind: "put", request: { key: utf8("a"), value: utf8("1") } }],
    failure: [],
  });
  await engine.close();
  return directory;
}

describe("muster export and muster import", () => {
  it("bring a store to another data directory, and say what they did", async () => {
    const from = await directoryWithKey();
    const file = place.path();
    expect(await run("export", file, "--data-dir", from)).toEqual({
      code: EXIT_OK,
      told: `Exported revision 2 with 1 keys and 0 leases to "${file}".\n`,
    });
    const to = place.path();
    expect(await run("import", file, "--data-dir", to)).toEqual({
      code: EXIT_OK,
      told: `Imported revision 2 with 1 keys and 0 leases from "${file}".\n`,
    });
    const { kvs } = await (await place.lmdb(to)).range({ key: utf8("a") });
    expect(kvs[0]).toMatchObject({ createRevision: 2, modRevision: 2, version: 1 });
  });

  it("refuse to export what is in use, or is no store, and make none of it", async () => {
    const from = await directoryWithKey();
    const file = place.path();
    const user = await place.lmdb(from);
    expect(await run("export", file, "--data-dir", from)).toMatchObject({
      code: EXIT_FAILURE,
      told: expect.stringContaining("Stop the Muster that uses the data directory"),
    });
    await user.close();
    const missing = place.path();
    expect(await run("export", file, "--data-dir", missing)).toMatchObject({
      code: EXIT_USAGE,
      told: expect.stringContaining("it holds none"),
    });
    await expect(readFile(join(missing, "LOCK"))).rejects.toMatchObject({ code: "ENOENT" });
    await expect(readFile(file)).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("refuse a place that is taken, and what is no export", async () => {
    const from = await directoryWithKey();
    const file = place.path();
    await run("export", file, "--data-dir", from);
    expect(await run("import", file, "--data-dir", from)).toMatchObject({
      code: EXIT_USAGE,
      told: expect.stringContaining("it holds a store"),
    });
    const other = place.path();
    await writeFile(other, "hello\n");
    expect(await run("import", other, "--data-dir", place.path())).toMatchObject({
      code: EXIT_USAGE,
      told: expect.stringContaining("none of Muster's"),
    });
  });

  it("take --again for one that did not end", async () => {
    const from = await directoryWithKey();
    const file = place.path();
    await run("export", file, "--data-dir", from);
    const half = place.path();
    await mkdir(half);
    await writeFile(join(half, "FORMAT.new"), "muster-lmdb 1\nimport\n");
    for (const command of [
      ["export", place.path()],
      ["import", file],
    ]) {
      expect(await run(...command, "--data-dir", half)).toMatchObject({
        code: EXIT_FAILURE,
        told: expect.stringContaining("--again"),
      });
    }
    expect(await run("import", file, "--again", "--data-dir", half)).toMatchObject({ code: EXIT_OK });
    expect(await run("export", place.path(), "--data-dir", half)).toMatchObject({ code: EXIT_OK });
  });
});
