// Builds the Go client that gRPC's interoperability tests are played with (test/support/go-client) and prints where it is:
//   node scripts/go-client.mjs     /…/.cache/go-client/<hash>/go-client
// What was built is kept as long as its sources are the same. Exits 3 where there is no Go that is new enough, 1 where a
// build fails, with the reason. Plain JavaScript, because Node 20 does not run TypeScript.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { CACHE, isExecutable } from "./debian-packages.mjs";
import { goAtLeast, goEnvironment, NO_GO, NoGo } from "./go.mjs";

const run = promisify(execFile);
const BUILD_TIMEOUT_MS = 10 * 60_000;
const module = fileURLToPath(new URL("../test/support/go-client", import.meta.url));

try {
  const sources = await Promise.all(
    ["go.mod", "go.sum", "main.go"].map((name) => readFile(join(module, name), "utf8")),
  );
  const hash = createHash("sha256").update(sources.join("\0")).digest("hex").slice(0, 12);
  const directory = join(CACHE, "go-client", hash);
  const program = join(directory, "go-client");
  if (!(await isExecutable(program))) {
    const wanted = /^go (\S+)$/m.exec(sources[0] ?? "")?.[1] ?? "";
    const go = await goAtLeast(wanted);
    await mkdir(directory, { recursive: true });
    const fresh = `${program}-${process.pid}`;
    const flags = ["build", "-trimpath", "-ldflags=-s -w", "-o", fresh, "."];
    await run(go, flags, { cwd: module, env: goEnvironment, timeout: BUILD_TIMEOUT_MS });
    await rename(fresh, program);
  }
  console.log(program);
} catch (error) {
  console.error(`no Go client: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = error instanceof NoGo ? NO_GO : 1;
}
