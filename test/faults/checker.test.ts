import { expect, test } from "vitest";
import { check } from "./checker.ts";
import type { Change, Formation, History, Operation, Read, Watching, Write } from "./history.ts";

const KEY = "/f/r/1";

function write(fields: Partial<Write> = {}): Write {
  const outcome = { kind: "done", revision: 5 } as const;
  return { kind: "write", client: "c1", muster: "m1", begun: 10, ended: 20, key: KEY, value: "a", outcome, ...fields };
}

function read(found: Read["found"], fields: Partial<Read> = {}): Read {
  const base = { kind: "read", client: "c2", muster: "m2", begun: 30, ended: 40, key: KEY, ...fields } as const;
  return found === undefined ? base : { ...base, found };
}

function put(revision: number, value: string | undefined, key = KEY): Change {
  return { revision, key, value };
}

function history(fields: Partial<History>): History {
  return { operations: [], watches: [], formations: [], log: [], finals: [], ...fields };
}

function faultsOf(log: readonly Change[], ...operations: readonly Operation[]): readonly string[] {
  return check(history({ log, operations }));
}

test("what went well is not found fault with", () => {
  const log = [put(5, "a"), put(6, "b"), put(8, undefined), put(9, "c"), put(10, "q1", "/f/queue/1")];
  const operations = [
    write(),
    write({ value: "b", replaces: 5, begun: 21, ended: 29, outcome: { kind: "unknown", why: "no answer" } }),
    read({ storeRevision: 7, modRevision: 6, value: "b" }),
    read({ storeRevision: 8, modRevision: 0, value: "" }, { begun: 41, ended: 44 }),
    write({ value: "c", replaces: 0, begun: 45, ended: 50, outcome: { kind: "done", revision: 9 } }),
    write({ value: "x", replaces: 5, begun: 46, ended: 50, outcome: { kind: "refused", why: "101" } }),
    write({ value: "y", outcome: { kind: "unknown", why: "reset" } }),
    write({ value: "q1", key: "/f/queue/", begun: 51, ended: 60, outcome: { kind: "unknown", why: "reset" } }),
  ];
  const finals = [
    {
      muster: "m1",
      prefix: "/f/",
      storeRevision: 10,
      keys: [
        { key: KEY, value: "c", modRevision: 9 },
        { key: "/f/queue/1", value: "q1", modRevision: 10 },
      ],
    },
  ];
  const watches = [{ client: "w", prefix: "/f/r/", from: 6, changes: [put(6, "b"), put(8, undefined)] }];
  expect(check(history({ log, operations, finals, watches }))).toEqual([]);
});

test("an acknowledged write that is lost", () => {
  expect(faultsOf([put(5, "other")], write())).toEqual([expect.stringContaining("was acknowledged and is lost")]);
});

test("an acknowledged write that is at another revision, or under another key", () => {
  expect(faultsOf([put(6, "a")], write())).toEqual([expect.stringContaining("is elsewhere: /f/r/1 at 6")]);
  expect(faultsOf([put(5, "a", "/f/r/2")], write())).toEqual([expect.stringContaining("is elsewhere")]);
});

test.each(["done", "unknown"])("a write that was applied twice: %s", (kind) => {
  const outcome = kind === "done" ? ({ kind, revision: 5 } as const) : ({ kind: "unknown", why: "" } as const);
  expect(faultsOf([put(5, "a"), put(7, "a")], write({ outcome }))).toEqual([
    expect.stringContaining("applied 2 times"),
  ]);
});

test("a write that was refused and applied", () => {
  const refused = write({ outcome: { kind: "refused", why: "503: not applied" } });
  expect(faultsOf([put(5, "a")], refused)).toEqual([
    expect.stringContaining("was refused (503: not applied) and is there"),
  ]);
});

test("a write of unknown outcome that is in a place of its own", () => {
  const unknown = write({ outcome: { kind: "unknown", why: "" } });
  expect(faultsOf([put(5, "a", "/f/r/2")], unknown)).toEqual([expect.stringContaining("is in another place")]);
});

test("two who replaced one index: the later one overlooked the earlier", () => {
  const log = [put(4, "z"), put(5, "a"), put(6, "b")];
  const rivals = [write({ replaces: 4 }), write({ value: "b", replaces: 4, outcome: { kind: "done", revision: 6 } })];
  expect(faultsOf(log, ...rivals)).toEqual([expect.stringContaining("was to replace revision 4 and replaced 5")]);
});

test("two firsts of one key, one of them never acknowledged", () => {
  const second = write({ value: "b", replaces: 0, outcome: { kind: "unknown", why: "" } });
  expect(faultsOf([put(5, "a"), put(6, "b")], write({ replaces: 0 }), second)).toEqual([
    expect.stringContaining("was to replace revision 0 and replaced 5"),
  ]);
});

test("a create after a delete is a first again", () => {
  const again = write({ value: "b", replaces: 0, begun: 30, ended: 40, outcome: { kind: "done", revision: 7 } });
  expect(faultsOf([put(5, "a"), put(6, undefined), put(7, "b")], write({ replaces: 0 }), again)).toEqual([]);
});

test("in-order keys that do not rise", () => {
  const log = [put(5, "a", "/f/queue/0009"), put(6, "b", "/f/queue/0008")];
  const made = (value: string, revision: number, key: string) =>
    write({ value, key, outcome: { kind: "done", revision } });
  expect(faultsOf(log, made("a", 5, "/f/queue/0009"), made("b", 6, "/f/queue/0008"))).toEqual([
    expect.stringContaining("in-order key /f/queue/0008 at 6"),
  ]);
});

test("a stale read: at the revision that it tells, something newer stood there", () => {
  const log = [put(5, "a"), put(6, "b")];
  expect(faultsOf(log, read({ storeRevision: 6, modRevision: 5, value: "a" }))).toEqual([
    expect.stringContaining("showed revision 5, and 6 stood there"),
  ]);
  expect(faultsOf(log, read({ storeRevision: 6, modRevision: 0, value: "" }))).toHaveLength(1);
  expect(faultsOf(log, read({ storeRevision: 6, modRevision: 6, value: "a" }))).toHaveLength(1);
});

test("a stale read that is consistent in itself: it began after something newer was acknowledged", () => {
  const log = [put(4, "z"), put(5, "a")];
  expect(faultsOf(log, write(), read({ storeRevision: 4, modRevision: 4, value: "z" }))).toEqual([
    expect.stringContaining("index 4 after 5"),
  ]);
});

test("reads that overlap a write may show what was before it", () => {
  const log = [put(4, "z"), put(5, "a")];
  const early = read({ storeRevision: 4, modRevision: 4, value: "z" }, { begun: 15, ended: 40 });
  expect(faultsOf(log, write(), early)).toEqual([]);
});

test("an index that goes back from one Muster to the next, for another key", () => {
  const log = [put(5, "a"), put(6, "b")];
  const newer = read({ storeRevision: 6, modRevision: 6, value: "b" }, { begun: 21, ended: 25 });
  const older = read({ storeRevision: 5, modRevision: 0, value: "" }, { key: "/f/r/9" });
  expect(faultsOf(log, newer, older)).toEqual([expect.stringContaining("read of /f/r/9 by c2 through m2")]);
});

test("a write whose revision is not beyond what was told before it began", () => {
  const log = [put(5, "a"), put(4, "b")];
  const late = write({ value: "b", begun: 30, ended: 40, outcome: { kind: "done", revision: 4 } });
  expect(faultsOf(log, write(), late)).toContainEqual(expect.stringContaining("index 4 after 5"));
});

test.each([
  ["lost", [put(5, "a"), put(7, "c")]],
  ["repeated", [put(5, "a"), put(5, "a"), put(6, "b")]],
  ["out of order", [put(6, "b"), put(5, "a")]],
  ["never there", [put(5, "a"), put(6, "b"), put(7, "c"), put(7, "x")]],
  ["of another value", [put(5, "a"), put(6, "x")]],
])("a watch that was told an event that was %s", (_what, changes) => {
  const log = [put(5, "a"), put(6, "b"), put(7, "c")];
  const watching: Watching = { client: "w", prefix: "/f/", from: 5, changes };
  expect(check(history({ log, watches: [watching] }))).toHaveLength(1);
});

test("a watch that stands somewhere in the middle has lost nothing; one that was ended has", () => {
  const log = [put(5, "a"), put(6, "b"), put(7, "c")];
  const watching: Watching = { client: "w", prefix: "/f/", from: 5, changes: [put(5, "a"), put(6, "b")] };
  expect(check(history({ log, watches: [watching, { ...watching, changes: [] }] }))).toEqual([]);
  expect(check(history({ log, watches: [{ ...watching, broken: "401" }] }))).toHaveLength(1);
});

test("a Muster that shows less or more at the end than there is", () => {
  const log = [put(5, "a"), put(6, "b", "/f/r/2"), put(7, undefined, "/f/r/2")];
  const state = { muster: "m3", prefix: "/f/", storeRevision: 7 };
  const shows = (...keys: readonly Change[]) =>
    check(
      history({
        log,
        finals: [
          { ...state, keys: keys.map(({ key, value = "", revision }) => ({ key, value, modRevision: revision })) },
        ],
      }),
    );
  expect(shows(put(5, "a"))).toEqual([]);
  expect(shows()).toHaveLength(1);
  expect(shows(put(5, "a"), put(6, "b", "/f/r/2"))).toHaveLength(1);
  expect(shows(put(5, "x"))).toHaveLength(2);
});

const DIRECTORY = "/_etcd/registry/t/";
const member = (revision: number, id: string, value = `${id}=http://${id}`) => put(revision, value, DIRECTORY + id);
const forming = (ids: readonly string[], members: readonly string[]): Formation => ({
  directory: DIRECTORY,
  size: 2,
  nodes: ids.map((id) => ({
    id,
    value: `${id}=http://${id}`,
    outcome: { kind: "formed", members: members.map((each) => `${each}=http://${each}`) },
  })),
});
const formed = (log: readonly Change[], ...formations: readonly Formation[]) => check(history({ log, formations }));

test("a cluster that formed, with a node too many", () => {
  const size = put(1, "2", `${DIRECTORY}_config/size`);
  const late = { ...forming(["a", "b"], ["a", "b"]) };
  const nodes = [...late.nodes, { id: "c", value: "c=http://c", outcome: { kind: "full" } as const }];
  expect(formed([size, member(2, "a"), member(3, "b")], { ...late, nodes })).toEqual([]);
  expect(formed([size, member(2, "a"), member(3, "b"), member(4, "c")], { ...late, nodes })).toEqual([]);
});

test.each<[string, readonly Change[], Formation]>([
  ["nodes with another list", [member(2, "a"), member(3, "b")], forming(["a", "b"], ["a", "c"])],
  ["a list in another order", [member(2, "b"), member(3, "a")], forming(["a"], ["a", "b"])],
  ["a list that is too short", [member(2, "a"), member(3, "b")], forming(["a", "b"], ["a"])],
  [
    "a member that is registered twice",
    [member(2, "a"), member(3, "b"), member(4, "a")],
    forming(["a", "b"], ["a", "b"]),
  ],
  [
    "a member that another took over",
    [member(2, "a"), member(3, "b"), member(4, "a", "x=http://x")],
    forming(["a", "b"], ["a", "b"]),
  ],
  [
    "a member that went",
    [member(2, "a"), member(3, "b"), put(4, undefined, `${DIRECTORY}a`)],
    forming(["a", "b"], ["a", "b"]),
  ],
  ["too few registered", [member(2, "a")], forming(["a"], ["a"])],
  ["a stranger", [member(2, "a"), member(3, "z")], forming(["a"], ["a", "z"])],
  [
    "one who formed and is no member",
    [member(2, "a"), member(3, "b"), member(4, "c")],
    forming(["a", "b", "c"], ["a", "b"]),
  ],
])("a cluster that did not form as it should: %s", (_what, log, formation) => {
  expect(formed(log, formation)).not.toEqual([]);
});

test("a node that gave up, and one that was sent away though it is a member", () => {
  const log = [member(2, "a"), member(3, "b")];
  const [a, b] = forming(["a", "b"], ["a", "b"]).nodes;
  if (a === undefined || b === undefined) throw new Error("make two nodes");
  const failed = { ...b, outcome: { kind: "failed", why: "105" } as const };
  const full = { ...b, outcome: { kind: "full" } as const };
  expect(formed(log, { directory: DIRECTORY, size: 2, nodes: [a, failed] })).toEqual([expect.stringContaining("105")]);
  expect(formed(log, { directory: DIRECTORY, size: 2, nodes: [a, full] })).toEqual([
    expect.stringContaining("is full"),
  ]);
});
