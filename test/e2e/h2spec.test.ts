/** h2spec, which plays the rules of HTTP/2 (RFC 9113, 7541) against a server: every case must pass, but for those listed. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { goProgram } from "../support/go-programs.ts";
import { faceOf, startTestService } from "../support/test-service.ts";
import { testTls } from "../support/tls/test-tls.ts";

const run = promisify(execFile);

/** A case that waits this long for its answer has failed. Cases that pass do not wait. */
const CASE_TIMEOUT_S = 3;
const RUN_TIMEOUT_MS = 120_000;

/** Groups of cases; with --strict, those too that only test what servers should do. */
const GROUPS = ["generic", "hpack", "http2", "--strict"];
const CASES = 146;

/** By `section: case`, which fail and why they may. */
const MAY_FAIL: Readonly<Record<"http" | "https", Readonly<Record<string, string>>>> = {
  http: {
    "http2/3.5: Sends invalid connection preface":
      "the port speaks HTTP/1.1 too: what does not begin as HTTP/2 does gets an answer of HTTP/1.1 (400)",
  },
  https: {},
};

const h2spec = await goProgram({ name: "h2spec.mjs", purpose: "judge its HTTP/2 by h2spec" });

if ("missing" in h2spec) {
  test.skip(`h2spec's cases: skipped: ${h2spec.missing}`, () => undefined);
} else {
  test("Listener: h2spec's cases pass in clear", () => playAll(h2spec.printed, "http"));
  test("Listener: h2spec's cases pass with TLS", () => playAll(h2spec.printed, "https"));
}

async function playAll(program: string, scheme: "http" | "https"): Promise<void> {
  const config = scheme === "https" ? { tls: testTls } : {};
  await using running = await startTestService({ publicFaces: [answering], config });
  const played = await play(program, running.publicUrl);
  // That many have been played, so that none is missed where h2spec stops half-way.
  expect(played.size).toBe(CASES);
  const failed = [...played].filter(([, outcome]) => outcome !== "passed");
  const mayFail = Object.keys(MAY_FAIL[scheme]);
  const unexpected = failed.filter(([name]) => !mayFail.includes(name));
  expect(unexpected).toEqual([]);
  // One that passes needs no reason any more.
  expect(mayFail.filter((name) => played.get(name) === "passed")).toEqual([]);
}

/** A body that is long enough for the cases that have it sent in pieces. */
const answering = faceOf(async ({ request, response }) => {
  for await (const _chunk of request);
  response.end("a body for h2spec\n");
});

/** Plays all cases, one after the other; what came of each, by its name: `passed`, or what was wrong. */
async function play(program: string, url: string): Promise<ReadonlyMap<string, string>> {
  const { hostname, port, protocol } = new URL(url);
  const directory = await mkdtemp(join(tmpdir(), "muster-h2spec-"));
  try {
    const report = join(directory, "report.xml");
    const tls = protocol === "https:" ? ["-t", "-k"] : [];
    const where = ["-h", hostname, "-p", port, "--path", "/", ...tls];
    const parameters = [...GROUPS, ...where, "-o", String(CASE_TIMEOUT_S), "-j", report];
    // It exits with 1 where a case fails; where it was cut off, there is no report.
    await run(program, parameters, { timeout: RUN_TIMEOUT_MS }).catch(() => undefined);
    return outcomes(await readFile(report, "utf8"));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Reads a JUnit report. */
function outcomes(report: string): ReadonlyMap<string, string> {
  const cases = report.matchAll(
    /<testcase package="(?<section>[^"]*)" classname="(?<title>[^"]*)"[^>]*>(?<outcome>[\s\S]*?)<\/testcase>/g,
  );
  const found = new Map<string, string>();
  for (const { groups = {} } of cases) {
    const { section = "", title = "", outcome = "" } = groups;
    found.set(`${section}: ${title.replaceAll("&#34;", '"')}`, outcome.trim() === "" ? "passed" : outcome.trim());
  }
  return found;
}
