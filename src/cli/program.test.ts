import { describe, expect, test } from "vitest";
import { musterVersion } from "../base/version.ts";
import { OPTION_NAMES, OPTION_TEXTS, variableOf } from "../server/config-options.ts";
import { runMuster } from "./program.ts";

async function run(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  let out = "";
  let err = "";
  const code = await runMuster({
    args,
    env,
    stdout: (text) => {
      out += text;
    },
    stderr: (text) => {
      err += text;
    },
  });
  return { code, out, err };
}

describe("runMuster", () => {
  test("runMuster: --version prints the version of package.json", async () => {
    expect(musterVersion()).toMatch(/^\d+\.\d+\.\d+/);
    expect(await run(["--version"])).toEqual({ code: 0, out: `${musterVersion()}\n`, err: "" });
  });

  test.each([[["help"]], [["--help"]], [["-h"]]])("runMuster: %j lists the commands", async (args) => {
    const { code, out } = await run(args);
    expect(code).toBe(0);
    expect(out).toMatch(/^Usage: muster/);
    expect(out).toContain("serve");
  });

  test.each([[["serve", "--help"]], [["help", "serve"]]])(
    "runMuster: %j lists each option with default and variable",
    async (args) => {
      const { code, out } = await run(args);
      const text = out.replace(/\s+/g, " ");
      expect(code).toBe(0);
      for (const name of OPTION_NAMES) {
        const { default: fallback } = OPTION_TEXTS[name];
        expect(text).toContain(`--${name} `);
        expect(text).toContain(`${fallback === undefined ? "(" : `(default: ${fallback}, `}env: ${variableOf(name)}`);
      }
      expect(text).toContain("--config ");
    },
  );

  test.each([
    [["serve", "--token-ttl", "7d"], /^muster: Set --token-ttl to a duration .*: got "7d"\n$/],
    [["serve", "--trust-proxy", "maybe"], /^muster: Set --trust-proxy to true or false: got "maybe"\n$/],
    [["serve", "--lisen", "x"], /^muster: unknown option '--lisen' \(Did you mean --listen\?\)\n$/],
    [["serve", "--listen"], /^muster: option '--listen <addr>' argument missing\n$/],
    [["serve", "extra"], /^muster: too many arguments for 'serve'.*\n$/],
    [["sreve"], /^muster: unknown command 'sreve' \(Did you mean serve\?\)\n$/],
    [["restore", "m.db"], /^muster: Give --data-dir, or MUSTER_DATA_DIR: where "m\.db" is to be restored\n$/],
    [["restore", "m.db", "--data-dir", ""], /^muster: Give --data-dir, or MUSTER_DATA_DIR: .*\n$/],
    [["restore", "m.db", "--datadir", "r"], /^muster: unknown option '--datadir' \(Did you mean --data-dir\?\)\n$/],
    [["restore", ".", "--data-dir", "r"], /^muster: Name a whole snapshot of Muster's, not "\.": it is no file\n$/],
  ])("runMuster: %j ends with code 2 and one line that says why", async (args, message) => {
    const { code, out, err } = await run(args);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toMatch(message);
    expect(err.split("\n")).toHaveLength(2);
  });

  test("runMuster: restore takes its directory from the variable too", async () => {
    const { code, err } = await run(["restore", "/dev/null/m.db"], { MUSTER_DATA_DIR: "/dev/null/r" });
    expect([code, err]).toEqual([2, expect.stringMatching(/^muster: Name a snapshot that can be read, not /)]);
    expect((await run(["restore", "--help"])).out).toContain("(required; env: MUSTER_DATA_DIR)");
  });

  test("runMuster: a wrong variable ends with code 2 and is named", async () => {
    const { code, err } = await run(["serve"], { MUSTER_LOG_LEVEL: "loud" });
    expect(code).toBe(2);
    expect(err).toBe('muster: Set MUSTER_LOG_LEVEL to one of debug, info, warn, error: got "loud"\n');
  });

  test("runMuster: nothing at all is a question for help", async () => {
    const { code, err } = await run([]);
    expect(code).toBe(2);
    expect(err).toMatch(/^Usage: muster/);
  });
});
