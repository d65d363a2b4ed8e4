import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RegistryStage } from "../../../test/support/registry-stage.ts";
import { text, utf8 } from "../../base/bytes.ts";
import type { Operation } from "../../engine/model.ts";
import type { Expiry, WriteCommand } from "../tree/model.ts";
import { parsePath } from "../tree/tree-path.ts";

const NEVER: Expiry = { kind: "never" };
const GOOD_SIZES = ["1", "3", "1000", "+5", "007"];
const BAD_SIZES = ["0", "-1", "1001", "abc", "", " 3", "3\n", "2.5", "1e2", "0x3", "9".repeat(4000)];
const BAD_NAMES = ["new", "health", "robots.txt", "-x", ".x", "_x", "a b", "a?b", "ü", "a".repeat(129)];

let stage: RegistryStage;
beforeEach(async () => {
  stage = await RegistryStage.open();
});
afterEach(() => stage.close());

function sizeOf(name: string): string {
  return `/_etcd/registry/${name}/_config/size`;
}

function file(value: string): { readonly kind: "file"; readonly value: Uint8Array } {
  return { kind: "file", value: utf8(value) };
}

function set(name: string, value: string): WriteCommand {
  return { kind: "set", path: parsePath(sizeOf(name)), content: file(value), expiry: NEVER, refresh: false };
}

function put(name: string, value: string): Operation {
  return { kind: "put", request: { key: utf8(sizeOf(name)), value: utf8(value) } };
}

async function commit(success: readonly Operation[], failure: readonly Operation[] = []): Promise<void> {
  await stage.keyspace.txn({ compares: [], success, failure });
}

describe("the size of a token, written by an operator", () => {
  it.each(GOOD_SIZES)("%j is taken by v2 and v3", async (size) => {
    await stage.operator.write(set("mine", size));
    await commit([put("yours", size)]);
    expect((await stage.engine.range({ key: utf8("/_etcd/"), end: utf8("/_etcd0") })).count).toBe(2);
  });

  it.each(BAD_SIZES)("%j is refused by v2 and v3, and nothing is written", async (size) => {
    const refused = {
      code: "invalidField",
      message: expect.stringMatching(/^Give a whole number from 1 to 1000 .{0,160}$/),
    };
    await expect(stage.operator.write(set("mine", size))).rejects.toMatchObject(refused);
    await expect(commit([put("mine", size)])).rejects.toMatchObject(refused);
    expect(await stage.revision()).toBe(1);
  });

  it.each(BAD_NAMES)("is refused for the name %j", async (name) => {
    const refused = { code: "invalidField", message: expect.stringMatching(/^Name the token with .{0,240}$/) };
    await expect(stage.operator.write(set(name, "3"))).rejects.toMatchObject(refused);
    await expect(commit([put(name, "3")])).rejects.toMatchObject(refused);
    expect(await stage.revision()).toBe(1);
  });

  it("is refused for no name at all, as of a variable that is not set", async () => {
    await expect(commit([put("", "3")])).rejects.toMatchObject({ code: "invalidField" });
  });

  it("is refused in whatever v2 command would write it", async () => {
    await stage.operator.write(set("mine", "3"));
    const path = parsePath(sizeOf("mine"));
    const commands: readonly WriteCommand[] = [
      { kind: "update", path, content: file("0"), expiry: NEVER, refresh: false },
      { kind: "update", path, content: { kind: "directory" }, expiry: NEVER, refresh: false },
      { kind: "create", path: parsePath(sizeOf("other")), content: file("0"), expiry: NEVER },
      { kind: "create", path: parsePath(sizeOf("other")), content: { kind: "directory" }, expiry: NEVER },
      { kind: "compareAndSwap", path, value: utf8("0"), condition: {}, expiry: NEVER, refresh: false },
    ];
    for (const command of commands) {
      await expect(stage.operator.write(command), command.kind).rejects.toMatchObject({ code: "invalidField" });
    }
  });

  it("is refused in any branch of a v3 transaction, however deep", async () => {
    const nested = (...success: readonly Operation[]): Operation => ({
      kind: "txn",
      request: { compares: [], success, failure: [] },
    });
    for (const [success, failure] of [
      [[], [put("mine", "0")]],
      [[nested(nested(put("mine", "0")))], []],
      [[put("mine", "3")], [nested(put("new", "3"))]],
    ] as const) {
      await expect(commit(success, failure)).rejects.toMatchObject({ code: "invalidField" });
    }
    expect(await stage.revision()).toBe(1);
  });

  it("may be kept, with another time to live or lease", async () => {
    await stage.operator.write(set("mine", "3"));
    const path = parsePath(sizeOf("mine"));
    const kept = { path, content: file(""), expiry: NEVER, refresh: true } as const;
    await stage.operator.write({ kind: "set", ...kept });
    await stage.operator.write({ kind: "update", ...kept });
    const key = utf8(path);
    await commit([{ kind: "put", request: { key, value: utf8(""), ignoreValue: true } }]);
    const { kvs } = await stage.engine.range({ key });
    expect(kvs.map(({ value, version }) => [text(value), version])).toEqual([["3", 4]]);
  });

  it("is not looked at beside the registry", async () => {
    const other = parsePath("/my/discovery/_config/size");
    await stage.operator.write({ kind: "set", path: other, content: file("none"), expiry: NEVER, refresh: false });
    await commit([{ kind: "put", request: { key: utf8("/_etcd/registry/mine/_config/sizes"), value: utf8("x") } }]);
  });
});
