import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { memberKey, membersOf, put, shown, V3Registry } from "../../../test/support/v3-registry.ts";
import type { Watch } from "../../engine/engine.ts";
import { tokenPath } from "./token.ts";

let v3: V3Registry;

beforeEach(async () => {
  v3 = await V3Registry.open();
});

afterEach(() => v3[Symbol.asyncDispose]());

describe("a v3 watch of the members' prefix", () => {
  async function take(watch: Watch, count: number): Promise<readonly string[]> {
    const events: string[] = [];
    for await (const message of watch) {
      if (message.kind !== "events") continue;
      for (const { kind, kv } of message.events) {
        events.push(`${message.revision} ${kind} ${shown([kv])[0]} @${kv.createRevision}`);
      }
      if (events.length >= count) break;
    }
    return events;
  }

  it("tells of members by either protocol from a revision on, and of nothing else below the token", async () => {
    const token = await v3.newToken(3);
    const { revision: listed } = await v3.keyspace.range(membersOf(token));
    const watch = v3.keyspace.watch({ ...membersOf(token), startRevision: listed + 1 });
    const first = (await v3.registerByV2(token, "b", "two=u")).index;
    await v3.registerByV2(token, "_state", "started");
    const second = await v3.registerByV3(token, "a", "one=u");
    await v3.commit({ kind: "deleteRange", request: { key: memberKey(token, "b") } });
    expect(await take(watch, 3)).toEqual([
      `${first} put members/b=two=u @${first}`,
      `${second} put members/a=one=u @${second}`,
      `${await v3.revision()} delete members/b= @0`,
    ]);
  });

  it("from a compacted revision on tells of the members that were put since, in order of revision, then of what comes", async () => {
    const token = await v3.newToken(4);
    const known = await v3.registerByV3(token, "d", "known=u");
    const second = await v3.registerByV3(token, "c", "second=u");
    const third = await v3.registerByV3(token, "a", "third=u");
    await v3.forgetHistory();
    const watch = v3.keyspace.watch({ ...membersOf(token), startRevision: known + 1 });
    const events = take(watch, 3);
    const last = await v3.registerByV3(token, "b", "last=u");
    expect(await events).toEqual([
      `${second} put members/c=second=u @${second}`,
      `${third} put members/a=third=u @${third}`,
      `${last} put members/b=last=u @${last}`,
    ]);
  });

  it("answers a request for progress that was made while history was gone", async () => {
    const token = await v3.newToken(4);
    const start = await v3.registerByV3(token, "d", "known=u");
    await v3.forgetHistory();
    const watch = v3.keyspace.watch({ ...membersOf(token), startRevision: start + 1 });
    watch.requestProgress();
    for await (const message of watch) {
      expect(message).toEqual({ kind: "progress", revision: await v3.revision() });
      break;
    }
  });
});

it("a v2 wait at a token is woken by a member that comes by v3, registered or put", async () => {
  const token = await v3.newToken(3);
  const wait = await v3.store.watch({ path: tokenPath(token), recursive: true, waitIndex: (await v3.revision()) + 1 });
  await v3.registerByV3(token, "a", "one=u");
  await v3.commit(put(memberKey(token, "b"), "two=u"));
  const events: string[] = [];
  for await (const { action, node } of wait) {
    events.push(`${action} ${node.path.split("/").at(-1)}`);
    if (events.length === 2) break;
  }
  expect(events).toEqual(["create a", "set b"]);
});
