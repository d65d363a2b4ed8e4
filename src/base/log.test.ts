import { describe, expect, test } from "vitest";
import { MusterError } from "./errors.ts";
import { createLog, type LogFormat, redactPath, shortToken } from "./log.ts";

const TOKEN = "6d1c2e9f0a3b4c5d6e7f8091a2b3c4d5";
const BY_HAND = "my-hand-made-token";

function logged(format: LogFormat, write: (log: ReturnType<typeof createLog>) => void): string {
  const lines: string[] = [];
  write(createLog({ level: "debug", format, destination: { write: (line: string) => lines.push(line) } }));
  return lines.join("");
}

describe("shortToken", () => {
  test("shortToken: shows twelve characters of one that Muster made, six of others", () => {
    expect(shortToken(TOKEN)).toBe("6d1c2e9f0a3b…");
  });

  test.each(["abc", "abcdef", "abcdefgh"])("shortToken: never shows all of a short one (%s)", (token) => {
    expect(shortToken(token).length - 1).toBeLessThanOrEqual(token.length / 2);
  });
});

describe("redactPath", () => {
  test.each([
    [`/${TOKEN}`, "/6d1c2e9f0a3b…"],
    [`//${TOKEN}/node1`, "/6d1c2e9f0a3b…/node1"],
    [`/${TOKEN}/_config/size`, "/6d1c2e9f0a3b…/_config/size"],
    [`/${BY_HAND}/node1`, "/my-han…/node1"],
    [`/%6dy-hand-made-token/x`, "/my-han…/x"],
    [`/health/../${BY_HAND}`, "/my-han…"],
    [`/v2/keys/_etcd/registry/${BY_HAND}/n`, "/v2/keys/_etcd/registry/my-han…/n"],
    [`/v2/keys/_etcd%2Fregistry%2F${BY_HAND}`, "/v2/keys/_etcd/registry/my-han…"],
    [`/v2/keys//_etcd//registry//${BY_HAND}`, "/v2/keys/_etcd/registry/my-han…"],
    [`/v2/keys/x/${TOKEN}`, "/v2/keys/x/6d1c2e9f0a3b…"],
    ["/new", "/new"],
    ["/health", "/health"],
    ["/", "/"],
    ["/v2/keys/foo/bar", "/v2/keys/foo/bar"],
    ["/v2/keys/a%0a%1b[31mb", "/v2/keys/a??[31mb"],
  ])("redactPath: %s is shown as %s", (path, shown) => {
    expect(redactPath(path)).toBe(shown);
  });

  test.each([
    [`/${TOKEN}/%ff`, "/6d1c2e9f0a3b…/%…"],
    [`/v2/keys/_etcd%2Fregistry%2F${BY_HAND}/%ff`, "/v…/ke…/_etcd%…/%…"],
    [`/v2/keys/%ff/../_etcd//registry/${BY_HAND}/`, "/v…/ke…/_e…/regi…/my-han…/"],
    ["/%ff", "/%…"],
  ])("redactPath: of %s, which is no UTF-8, every segment is shortened: %s", (path, shown) => {
    expect(redactPath(path)).toBe(shown);
  });
});

describe("createLog", () => {
  test.each(["json", "pretty"] as const)("createLog: a whole token is in no line, wherever it stood (%s)", (format) => {
    const text = logged(format, (log) => {
      log.info({ path: `/v2/keys/_etcd/registry/${BY_HAND}/x`, token: TOKEN }, `registered at ${TOKEN}`);
      log.error({ err: new Error(`no node at /_etcd/registry/${BY_HAND}`) }, "failed");
      log.child({ token: TOKEN.toUpperCase() }).warn({}, "child");
    });
    expect(text).not.toMatch(new RegExp(TOKEN, "i"));
    expect(text).not.toContain(BY_HAND);
    expect(text).toContain("6d1c2e9f0a3b…");
    expect(text).toContain("my-han…");
  });

  test("createLog: JSON lines carry level, time, fields and message", () => {
    const text = logged("auto", (log) => log.child({ part: "tree" }).warn({ revision: 7 }, "slow"));
    const line: unknown = JSON.parse(text);
    expect(line).toMatchObject({ level: "warn", part: "tree", revision: 7, msg: "slow" });
    expect(line).toHaveProperty("time", expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/));
  });

  test("createLog: an error that was foreseen has its causes and no stack, a defect has its stack", () => {
    const cause = new Error("connect ECONNREFUSED", { cause: new Error("a wire was cut") });
    const foreseen = new MusterError("storeUnavailable", "Look after etcd", { cause });
    const [first = "", second = ""] = logged("json", (log) => {
      log.child({ part: "registry" }).warn({ err: foreseen }, "not swept");
      log.error({ err: new TypeError("x is not a function") }, "failed");
    }).split("\n");
    const err = { code: "storeUnavailable", message: "Look after etcd", causes: [cause.message, "a wire was cut"] };
    expect(JSON.parse(first)).toMatchObject({ err });
    expect(first).not.toContain("stack");
    expect(JSON.parse(second)).toMatchObject({
      err: { type: "TypeError", stack: expect.stringContaining("log.test") },
    });
  });

  test("createLog: lines below the level are left out", () => {
    const lines: string[] = [];
    const log = createLog({
      level: "warn",
      format: "json",
      destination: { write: (line: string) => lines.push(line) },
    });
    log.info({}, "unseen");
    log.warn({}, "seen");
    expect(lines).toHaveLength(1);
    expect(log.isLevelEnabled("debug")).toBe(false);
  });
});
