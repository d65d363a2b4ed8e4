import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "..");

test("without the packages that only building needs (NODE_ENV=production npm ci), the build says in a line what to do", () => {
  const directory = mkdtempSync(join(tmpdir(), "muster-production-"));
  try {
    for (const part of ["scripts/proto.mjs", "proto", "package.json"]) {
      cpSync(join(ROOT, part), join(directory, part), { recursive: true });
    }
    const run = spawnSync(process.execPath, ["scripts/proto.mjs"], { cwd: directory, encoding: "utf8" });
    expect(run).toMatchObject({ status: 1, stdout: "" });
    expect(run.stderr).toMatch(/^muster: Run npm ci --include=dev: .* protobufjs is missing\n$/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
