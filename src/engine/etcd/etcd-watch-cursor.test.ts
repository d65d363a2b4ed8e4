import { expect, test } from "vitest";
import type { Event } from "../../proto/mvccpb.ts";
import { EtcdWatchCursor } from "./etcd-watch-cursor.ts";

const event = (revision: number): Event => ({
  type: 0,
  kv: {
    key: Buffer.from("k"),
    createRevision: revision,
    modRevision: revision,
    version: 1,
    value: Buffer.alloc(0),
    lease: 0n,
  },
  prevKv: undefined,
});
const piece = (revisions: readonly number[], fragment = false) => ({ events: revisions.map(event), fragment });
const taken = (cursor: EtcdWatchCursor, ...parameters: Parameters<typeof piece>) =>
  cursor.take(piece(...parameters)).map(({ kv }) => kv?.modRevision);

test("cursor: passes whole revisions on, and goes on after the last", () => {
  const cursor = new EtcdWatchCursor(3);
  expect(taken(cursor, [3, 3, 5])).toEqual([3, 3, 5]);
  expect(cursor.next).toBe(6);
});

test("cursor: keeps the last revision of a fragment back until the rest of it has come", () => {
  const cursor = new EtcdWatchCursor(1);
  expect(taken(cursor, [1, 2, 2], true)).toEqual([1]);
  expect(taken(cursor, [2, 3], true)).toEqual([2, 2, 2]);
  expect(cursor.next).toBe(3);
  expect(taken(cursor, [3])).toEqual([3, 3]);
});

test("cursor: forgets half a revision when it has to begin it again", () => {
  const cursor = new EtcdWatchCursor(1);
  taken(cursor, [1, 2, 2], true);
  expect(cursor.next).toBe(2);
  cursor.reconnected();
  expect(taken(cursor, [2, 2, 2])).toEqual([2, 2, 2]);
});

test("cursor: passes nothing on from before its place", () => {
  const cursor = new EtcdWatchCursor(undefined);
  cursor.advance(4);
  expect(taken(cursor, [2, 3, 4])).toEqual([4]);
  cursor.advance(2);
  expect(cursor.next).toBe(5);
});

test("cursor: a first connection begins where it was asked to, each later one a revision earlier, and tells no more", () => {
  const cursor = new EtcdWatchCursor(3);
  expect(cursor.start).toBe(3);
  cursor.begun();
  expect(cursor.start).toBe(2);
  cursor.reconnected();
  expect(taken(cursor, [2, 3])).toEqual([3]);
  expect(cursor.start).toBe(3);
});

test("cursor: never begins from now on where it has a place", () => {
  const cursor = new EtcdWatchCursor(1);
  cursor.begun();
  expect(cursor.start).toBe(1);
  expect(new EtcdWatchCursor(undefined).start).toBe(0);
});

test("cursor: has reached what it was told, and not the start of a watch that begins in the future", () => {
  const cursor = new EtcdWatchCursor(9);
  expect(cursor.reached).toBe(0);
  cursor.advance(5);
  expect(cursor.reached).toBe(4);
  expect(cursor.next).toBe(9);
  taken(cursor, [9]);
  expect(cursor.reached).toBe(9);
  cursor.advance(6);
  expect(cursor.reached).toBe(9);
});
