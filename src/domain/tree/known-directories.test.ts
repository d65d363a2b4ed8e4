import { expect, it } from "vitest";
import { NO_LEASE } from "../../engine/model.ts";
import { KnownDirectories } from "./known-directories.ts";
import { directoryKey } from "./tree-layout.ts";
import { parsePath } from "./tree-path.ts";

it("learnAbove: keeps nothing of the answer that a directory was read with", () => {
  const path = parsePath("/a");
  const key = directoryKey(path);
  const answer = new Uint8Array(1_000_000);
  answer.set(key);
  const record = {
    key: answer.subarray(0, key.length),
    value: answer.subarray(key.length, key.length + 2),
    createRevision: 3,
    modRevision: 5,
    version: 2,
    lease: NO_LEASE,
  };
  const known = new KnownDirectories();
  known.learnAbove([{ path, record, expires: undefined }], 9);
  const [found] = known.above(parsePath("/a/f")) ?? [];
  expect(found?.record).toMatchObject({ modRevision: 5 });
  expect([...(found?.record?.key ?? [])]).toEqual([...key]);
  expect([found?.record?.key.buffer, found?.record?.value.buffer]).not.toContain(answer.buffer);
});
