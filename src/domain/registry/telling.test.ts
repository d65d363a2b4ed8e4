import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { RegistryStage } from "../../../test/support/registry-stage.ts";
import { prefixEnd, utf8 } from "../../base/bytes.ts";
import { createLog } from "../../base/log.ts";
import type { KeyRange, Operation } from "../../engine/model.ts";
import type { Expiry, WriteCommand } from "../tree/model.ts";
import { parsePath } from "../tree/tree-path.ts";

const NEVER: Expiry = { kind: "never" };
const REGISTRY = "/_etcd/registry";
const line = z.object({
  msg: z.string(),
  protocol: z.string().optional(),
  token: z.string().optional(),
  member: z.string().optional(),
  size: z.union([z.string(), z.number()]).optional(),
  keys: z.number().optional(),
  address: z.string().optional(),
});

let stage: RegistryStage;
let told: string[];
beforeEach(async () => {
  told = [];
  const write = (text: string) => {
    const { msg, protocol, token, member, size, keys, address } = line.parse(JSON.parse(text));
    told.push([protocol, msg, token, member, size ?? keys, address].filter((part) => part !== undefined).join(" "));
  };
  stage = await RegistryStage.open(createLog({ level: "info", format: "json", destination: { write } }));
});
afterEach(() => stage.close());

function set(path: string, value: string): WriteCommand {
  const content = { kind: "file", value: utf8(value) } as const;
  return { kind: "set", path: parsePath(REGISTRY + path), content, expiry: NEVER, refresh: false };
}

function remove(path: string): WriteCommand {
  return { kind: "delete", path: parsePath(path), directory: true, recursive: true };
}

function put(path: string, value: string): Operation {
  return { kind: "put", request: { key: utf8(REGISTRY + path), value: utf8(value) } };
}

function deletion(range: KeyRange): Operation {
  return { kind: "deleteRange", request: range };
}

function below(prefix: string): KeyRange {
  return { key: utf8(prefix), end: prefixEnd(utf8(prefix)) };
}

async function commit(...success: readonly Operation[]): Promise<void> {
  await stage.keyspace.txn({ compares: [], success, failure: [] });
}

describe("what the log tells of writes by v2", () => {
  it("a token that is made, changed and deleted, and its members", async () => {
    const { operator } = stage;
    await operator.write(set("/my-cluster/_config/size", "3"));
    await operator.write(set("/my-cluster/_config/size", "5"));
    await operator.write(set("/my-cluster/m1", "a=u"));
    await operator.write(remove(`${REGISTRY}/my-cluster/m1`));
    await operator.write(remove(`${REGISTRY}/my-cluster`));
    expect(told).toEqual([
      "v2 token made by hand my-cl… 3 10.0.0.1",
      "v2 token's size set my-cl… 5 10.0.0.1",
      "v2 member set my-cl… m1 10.0.0.1",
      "v2 member delete my-cl… m1 10.0.0.1",
      "v2 token deleted my-cl… 10.0.0.1",
    ]);
  });

  it("a registration, and who made it again", async () => {
    const { operator } = stage;
    await operator.write(set("/my-cluster/_config/size", "3"));
    const content = { kind: "file", value: utf8("a=u") } as const;
    const path = parsePath(`${REGISTRY}/my-cluster/m1`);
    for (let time = 0; time < 2; time++) await operator.write({ kind: "create", path, content, expiry: NEVER });
    expect(told.slice(1)).toEqual([
      "v2 member create my-cl… m1 10.0.0.1",
      "v2 registration repeated: answered with the first my-cl… m1 10.0.0.1",
    ]);
  });

  it("a token that loses its size, or gets a time to live", async () => {
    const { operator } = stage;
    await operator.write(set("/my-cluster/_config/size", "3"));
    const expiry: Expiry = { kind: "at", expires: stage.now + 10_000 };
    const content = { kind: "directory" } as const;
    const path = parsePath(`${REGISTRY}/my-cluster`);
    await operator.write({ kind: "update", path, content, expiry, refresh: false });
    await operator.write(remove(`${REGISTRY}/my-cluster/_config`));
    expect(told.slice(1)).toEqual(["v2 token's time to live set my-cl… 10.0.0.1", "v2 token deleted my-cl… 10.0.0.1"]);
  });

  it.each(["/_etcd", REGISTRY])("all tokens, when %s is deleted", async (path) => {
    await stage.operator.write(set("/my-cluster/_config/size", "3"));
    await stage.operator.write(remove(path));
    expect(told.slice(1)).toEqual(["v2 all tokens deleted 10.0.0.1"]);
  });

  it("nothing of what lies elsewhere, or fails", async () => {
    const elsewhere = parsePath("/elsewhere");
    const content = { kind: "file", value: utf8("x") } as const;
    await stage.operator.write({ kind: "set", path: elsewhere, content, expiry: NEVER, refresh: false });
    await stage.operator.write(remove("/elsewhere"));
    await expect(stage.operator.write(remove(`${REGISTRY}/none`))).rejects.toMatchObject({ code: "nodeNotFound" });
    expect(told).toEqual([]);
  });
});

describe("what the log tells of writes by v3", () => {
  it("a token that is made, changed and deleted", async () => {
    await commit(put("/my-cluster/_config/size", "3"));
    await commit(put("/my-cluster/_config/size", "5"));
    await commit(deletion(below(`${REGISTRY}/my-cluster`)));
    expect(told).toEqual([
      "v3 token made by hand my-cl… 3 10.0.0.1",
      "v3 token's size set my-cl… 5 10.0.0.1",
      "v3 token deleted my-cl… 10.0.0.1",
    ]);
  });

  it("members that are put and deleted, one by one and together", async () => {
    await commit(put("/my-cluster/_config/size", "3"));
    await commit(put("/my-cluster/members/m1", "a=u"), put("/my-cluster/m2", "b=u"));
    await commit(put("/my-cluster/members/m3", "c=u"));
    await commit(deletion({ key: utf8(`${REGISTRY}/my-cluster/members/m1`) }));
    await commit(deletion(below(`${REGISTRY}/my-cluster/members`)));
    expect(told.slice(1)).toEqual([
      "v3 member set my-cl… m1 10.0.0.1",
      "v3 member set my-cl… m2 10.0.0.1",
      "v3 member set my-cl… m3 10.0.0.1",
      "v3 member delete my-cl… m1 10.0.0.1",
      "v3 member delete my-cl… m2 10.0.0.1",
      "v3 member delete my-cl… m3 10.0.0.1",
    ]);
  });

  it.each([
    ["the registry", below(`${REGISTRY}/`)],
    ["every key", { key: utf8("/"), end: null }],
  ])("a deletion of %s, in one line", async (_what, range) => {
    await commit(put("/t1/_config/size", "3"), put("/t2/_config/size", "3"), put("/t2/m", "a=u"));
    await commit(deletion(range));
    expect(told.slice(3)).toEqual(["v3 keys deleted over a range that takes in tokens 3 10.0.0.1"]);
  });

  it("nothing of a branch that is not taken, or of what was not there", async () => {
    await stage.keyspace.txn({ compares: [], success: [], failure: [put("/my-cluster/_config/size", "3")] });
    await commit(deletion(below(`${REGISTRY}/`)), deletion({ key: utf8(`${REGISTRY}/my-cluster/m1`) }));
    expect(told).toEqual([]);
  });
});
