/** House rules that no linter knows. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "..");
// What a release archive holds cannot be told from what lies about in its folder.
const isCheckout = existsSync(join(root, ".git"));
const tracked = isCheckout ? trackedFiles() : [];
const written = tracked.filter(
  (name) => !name.endsWith("package-lock.json") && !name.startsWith("test/conformance/transcripts/"),
);

function trackedFiles(): readonly string[] {
  const flags = ["ls-files", "--cached", "--others", "--exclude-standard"];
  const names = execFileSync("git", flags, { cwd: root, encoding: "utf8" }).split("\n");
  return names.filter((name) => name !== "" && existsSync(join(root, name)));
}

function filesWith(pattern: RegExp, among: readonly string[]): readonly string[] {
  return among.filter((name) => pattern.test(readFileSync(join(root, name), "utf8")));
}

describe.skipIf(!isCheckout)("the tree of files", () => {
  it("is in docs/architecture.md as it is", () => {
    const run = () => execFileSync("node", ["scripts/file-tree.mjs", "--check"], { cwd: root, stdio: "pipe" });
    expect(run).not.toThrow();
  });

  it("names no folder of one machine", () => {
    const folders = ["root", "home", "work"].map((name) => `(^|[^\\w.$-])/${name}/[a-z]`).join("|");
    expect(filesWith(new RegExp(folders, "m"), written)).toEqual([]);
  });

  it("has no host of a package registry in the lock files", () => {
    expect(
      filesWith(
        /"resolved": "http/,
        tracked.filter((name) => name.endsWith("package-lock.json")),
      ),
    ).toEqual([]);
  });
});

describe.skipIf(!isCheckout)("source files", () => {
  const sources = tracked.filter((name) => name.endsWith(".ts"));

  it("silence the type checker nowhere", () => {
    const silenced = new RegExp(
      ["@ts-" + "ignore", "@ts-" + "expect-error", "\\bas " + "any\\b", "as " + "unknown as"].join("|"),
    );
    expect(filesWith(silenced, sources)).toEqual([]);
  });

  it("say what they are for in a docstring", () => {
    const undocumented = sources.filter((name) => name.startsWith("src/") && !name.endsWith(".test.ts"));
    expect(undocumented.filter((name) => !readFileSync(join(root, name), "utf8").includes("/**"))).toEqual([]);
  });
});

describe.skipIf(!isCheckout)("documents", () => {
  it("link only to files that are there", () => {
    const pages = tracked.filter((name) => name.endsWith(".md"));
    const broken = pages.flatMap((page) => {
      const links = [...readFileSync(join(root, page), "utf8").matchAll(/\]\(([^)#:\s]+)(#[^)]*)?\)/g)].map(
        ([, link]) => link ?? "",
      );
      return links.filter((link) => !existsSync(join(root, dirname(page), link))).map((link) => `${page}: ${link}`);
    });
    expect(broken).toEqual([]);
  });
});
