/** Holds a store that was killed, or cut off from its power, against what it acknowledged before. */
import { expect } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import type { Event } from "../../src/engine/model.ts";
import { ALL, name } from "./requests.ts";

/** A key and its value, or none where it was deleted. */
type Write = readonly [string, string | undefined];

/** What the processes of lmdb-child.mjs were told is done, before they ended. */
export class Acknowledged {
  /** By revision: the writes of its transaction, as the child tells them. */
  readonly writes = new Map<number, string>();
  /** By revision: what a watcher was shown of it while the process lived. */
  readonly watched = new Map<number, string>();
  readonly leases = new Set<bigint>();
  compactRevision = 0;
  /** The newest revision that anybody was shown. */
  seen = 1;

  /** Takes down the lines of one process; the last may be cut off in the middle, and then was told to nobody. */
  note(output: string): void {
    let watched: number | undefined;
    for (const line of output.split("\n").slice(0, -1)) {
      const [what = "", number = "", writes = ""] = line.split(" ");
      if (what === "watched") {
        expect(Number(number), "a watcher is shown every revision, in order").toBe((watched ?? Number(number) - 1) + 1);
        watched = Number(number);
      }
      this.#note(what, number, writes);
    }
  }

  #note(what: string, number: string, writes: string): void {
    switch (what) {
      case "wrote":
        expect(this.writes.has(Number(number)), `revision ${number} was given twice`).toBe(false);
        this.writes.set(Number(number), writes);
        break;
      case "watched":
        this.watched.set(Number(number), writes);
        this.seen = Math.max(this.seen, Number(number));
        break;
      case "lease":
        this.leases.add(BigInt(number));
        break;
      case "compacted":
        this.compactRevision = Number(number);
        break;
      case "open":
      case "saw":
        this.seen = Math.max(this.seen, Number(number));
        break;
      case "defragmented":
        break;
      default:
        throw new Error(`the child could not go on: ${what} ${number} ${writes}`);
    }
  }
}

/** The store as its own history tells it, followed from restart to restart. */
export class Follower {
  readonly state = new Map<string, string>();
  #revision = 1;

  /**
   * Begins at the revision that the store is compacted to: what it has there must be what was acknowledged (`all`: in the
   * end) up to there. Takes that off from `acknowledged`.
   */
  async skipCompacted(engine: Engine, acknowledged: Acknowledged, all: Acknowledged): Promise<void> {
    const { compactRevision } = await engine.status();
    if (compactRevision <= this.#revision) {
      return;
    }
    const { kvs } = await engine.range({ ...ALL, revision: compactRevision });
    const last = lastWrites(all, compactRevision);
    for (const kv of kvs) {
      const [key, value] = [name(kv.key), name(kv.value)];
      this.state.set(key, value);
      const { revision, written } = last.get(key) ?? { revision: 0, written: undefined };
      expect(kv.modRevision, `the revision of ${key}`).toBeGreaterThanOrEqual(revision);
      expect(kv.modRevision === revision ? written : value, `${key} at its last acknowledged revision`).toBe(value);
      last.delete(key);
    }
    const isTold = (revision: number) => revision > compactRevision || all.writes.has(revision);
    for (const [key, { revision, written }] of last) {
      // A key that is missing was deleted: as it was acknowledged, or by a transaction of which nobody heard any more.
      const isWhole = Array.from({ length: compactRevision - revision }, (_, index) => revision + 1 + index).every(
        isTold,
      );
      expect(isWhole ? written : undefined, `${key}, put at revision ${revision}`).toBe(undefined);
    }
    for (const told of [acknowledged.writes, acknowledged.watched]) {
      for (const revision of [...told.keys()].filter((at) => at <= compactRevision)) {
        told.delete(revision);
      }
    }
    this.#revision = compactRevision;
  }

  /**
   * Reads every revision since the last time: each there once, whole, and as it was acknowledged and shown to watchers.
   * Then looks whether the keys are what the history makes of them, and whether anything acknowledged is missing.
   */
  async follow(engine: Engine, acknowledged: Acknowledged): Promise<void> {
    const { revision, compactRevision } = await engine.status();
    const newest = [acknowledged.seen, ...acknowledged.writes.keys()].reduce((a, b) => Math.max(a, b));
    expect(revision, "the newest revision that was acknowledged or shown").toBeGreaterThanOrEqual(newest);
    expect(compactRevision).toBeGreaterThanOrEqual(acknowledged.compactRevision);
    expect(compactRevision).toBeLessThanOrEqual(this.#revision + 1);
    const watch = engine.watch({ ...ALL, startRevision: this.#revision + 1 });
    watch.requestProgress();
    for await (const message of watch) {
      if (message.kind === "progress") {
        break;
      }
      for (const [at, writes] of byRevision(message.events)) {
        expect(at, "revisions without a gap").toBe(this.#revision + 1);
        this.#revision = at;
        this.#apply(at, writes, acknowledged);
      }
    }
    expect(this.#revision, "the last revision is in the history").toBe(revision);
    expect(acknowledged.writes.size, "acknowledged, but not in the history").toBe(0);
    expect(acknowledged.watched.size, "shown to a watcher, but not in the history").toBe(0);
    const { kvs } = await engine.range(ALL);
    expect(new Map(kvs.map((kv) => [name(kv.key), name(kv.value)]))).toEqual(
      new Map([...this.state].sort(([a], [b]) => (a < b ? -1 : 1))),
    );
    expect(await engine.leases()).toEqual(expect.arrayContaining([...acknowledged.leases]));
  }

  #apply(revision: number, writes: readonly Write[], { writes: told, watched }: Acknowledged): void {
    const line = writes.map(([key, value]) => (value === undefined ? key : `${key}=${value}`)).join(",");
    const acknowledged = told.get(revision);
    if (acknowledged !== undefined) {
      expect(withoutEmptyDeletions(acknowledged, this.state), `revision ${revision}`).toBe(line);
    }
    expect(watched.get(revision) ?? line, `what a watcher was shown of revision ${revision}`).toBe(line);
    expectWhole(revision, writes);
    writes.forEach((write) => {
      this.#set(write);
    });
    told.delete(revision);
    watched.delete(revision);
  }

  #set([key, value]: Write): void {
    if (value === undefined) {
      this.state.delete(key);
    } else {
      this.state.set(key, value);
    }
  }
}

/** By key: the last write up to a revision that was acknowledged, undefined for a deletion. */
function lastWrites(all: Acknowledged, end: number): Map<string, { revision: number; written: string | undefined }> {
  const last = new Map<string, { revision: number; written: string | undefined }>();
  for (const [revision, writes] of [...all.writes].sort(([a], [b]) => a - b)) {
    for (const write of revision <= end ? writes.split(",") : []) {
      const [key = "", written] = write.split("=");
      last.set(key, { revision, written });
    }
  }
  return last;
}

/** A deletion of a key that is not there makes no event. */
function withoutEmptyDeletions(line: string, state: ReadonlyMap<string, string>): string {
  return line
    .split(",")
    .filter((write) => write.includes("=") || state.has(write))
    .join(",");
}

/** No half of a transaction: a group has three writes of one value; `last` and `pad` come together. */
function expectWhole(revision: number, writes: readonly Write[]): void {
  const kinds = writes.map(([key]) => key.split("/")[0]).join(" ");
  expect(["single", "group group group", "single last pad", "last pad"], `revision ${revision}`).toContain(kinds);
  expect(new Set(writes.flatMap(([, value]) => (value === undefined ? [] : [value.replace(/\.+$/, "")]))).size).toBe(1);
}

function byRevision(events: readonly Event[]): ReadonlyMap<number, readonly Write[]> {
  const revisions = new Map<number, Write[]>();
  for (const { kind, kv } of events) {
    const writes = revisions.get(kv.modRevision) ?? [];
    writes.push([name(kv.key), kind === "put" ? name(kv.value) : undefined]);
    revisions.set(kv.modRevision, writes);
  }
  return revisions;
}
