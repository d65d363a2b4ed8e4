// A process that owns a data directory, for tests that kill it: `node lmdb-child.mjs <built src> <directory> <name> [load]`.
// It writes a line for everything that was acknowledged, before it goes on:
//   open <revision>            the engine is open
//   wrote <revision> <writes>  a transaction: key=value, or key alone for a deletion, joined by commas
//   lease <id>                 a lease was granted
//   compacted <revision>       a compaction was accepted
//   saw <revision>             a reader or a watcher was shown this revision
// With `load` it writes from many callers at once until it dies; else it waits. Plain JavaScript, for Node 20.
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const CALLERS = 24;
const SLOTS = 8;
/** When the history that the parent has read already is compacted, in transactions of the first caller. */
const COMPACT_AT = 3;

const [built = "", directory = "", run = "", mode = "hold"] = process.argv.slice(2);
const { openLmdbEngine } = await import(pathToFileURL(join(built, "engine/lmdb/lmdb-engine.js")).href);
const { systemClock } = await import(pathToFileURL(join(built, "base/clock.js")).href);

/** To a pipe Node writes at once: what was told here is with the parent, however this process ends. */
function tell(line) {
  process.stdout.write(`${line}\n`);
}

/** A put, or a deletion where there is no value. */
function operation([key, value]) {
  return value === undefined
    ? { kind: "deleteRange", request: { key: Buffer.from(key) } }
    : { kind: "put", request: { key: Buffer.from(key), value: Buffer.from(value) } };
}

/** The writes of a caller's nth transaction: one key, all keys of a group alike, or the end of one and the start of another. */
function writesOf(caller, count) {
  const value = `${run}-${caller}-${count}`;
  const slot = count % SLOTS;
  switch (count % 4) {
    case 0:
    case 1:
      return [[`single/${caller}/${slot}`, value]];
    case 2:
      return ["x", "y", "z"].map((part) => [`group/${caller}/${part}`, value]);
    default:
      return [
        [`single/${caller}/${(slot + 2) % SLOTS}`],
        [`last/${caller}`, value],
        [`pad/${caller}`, value.padEnd(3000, ".")],
      ];
  }
}

async function load(engine, caller, openRevision) {
  for (let count = 0; ; count++) {
    const writes = writesOf(caller, count);
    const { revision } = await engine.txn({ compares: [], success: writes.map(operation), failure: [] });
    tell(`wrote ${revision} ${writes.map((write) => write.join("=")).join(",")}`);
    if (caller === 0 && count === COMPACT_AT && openRevision > 1) {
      await engine.compact(openRevision);
      tell(`compacted ${openRevision}`);
    }
  }
}

async function watch(engine) {
  for await (const { revision } of engine.watch({ key: Buffer.from("single/"), end: null })) {
    tell(`saw ${revision}`);
  }
}

async function read(engine) {
  for (let last = 0; ; ) {
    const { revision } = await engine.range({ key: Buffer.from("single/"), end: null, limit: 10 });
    if (revision > last) {
      tell(`saw ${revision}`);
      last = revision;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

try {
  const engine = await openLmdbEngine({ directory, clock: systemClock });
  const { revision } = await engine.status();
  tell(`open ${revision}`);
  if (mode === "load") {
    const { id } = await engine.grantLease({ id: 0n, ttl: 100_000 });
    tell(`lease ${id}`);
    const callers = Array.from({ length: CALLERS }, (_, caller) => load(engine, caller, revision));
    await Promise.all([...callers, watch(engine), read(engine)]);
  }
  // Nothing else keeps the process alive, and it must live until it is killed.
  setInterval(() => {}, 1_000_000);
} catch (error) {
  tell(`failed ${error.code} ${error.message}`);
  process.exitCode = 1;
}
