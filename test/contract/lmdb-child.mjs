// A process that owns a data directory, for tests that kill it or cut its power:
//   node lmdb-child.mjs <built src> <directory> <name> [load | defragment | churn <transactions>]
// It writes a line for everything that was acknowledged, before it goes on:
//   open <revision>              the engine is open
//   wrote <revision> <writes>    a transaction: key=value, or key alone for a deletion, joined by commas
//   watched <revision> <writes>  a watcher was shown this
//   lease <id>                   a lease was granted
//   compacted <revision>         a compaction was accepted
//   saw <revision>               a reader was shown this revision
//   defragmented                 the file was exchanged for a smaller one
// With `load` it writes from many callers at once until it dies, with `defragment` it also defragments without pause; with
// `churn` it writes from a few, compacting and defragmenting as it goes, and kills itself in the middle of it after so many
// transactions; else it waits. Plain JavaScript, for Node 20.
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const SLOTS = 8;
const LOAD = { callers: 24, padBytes: 3000 };
/** Which callers' transactions go in pieces: every so many's. */
const IN_PIECES_EVERY = 12;
const CHURN = { callers: 6, padBytes: 1500 };
/** When a load compacts the history that the parent has read already, in transactions of the first caller. */
const COMPACT_AT = 3;
/** How often churn compacts, in transactions of the first caller, and how many revisions it keeps. */
const CHURN_COMPACTS_EVERY = 8;
/** How often churn defragments, in transactions of the first caller. */
const CHURN_DEFRAGMENTS_EVERY = 16;
const CHURN_KEEPS = 30;

const [built = "", directory = "", run = "", mode = "hold", transactions = "0"] = process.argv.slice(2);
const { callers: CALLERS, padBytes: PAD_BYTES } = mode === "churn" ? CHURN : LOAD;
/** After how many transactions this process kills itself. */
let left = mode === "churn" ? Number(transactions) : Number.POSITIVE_INFINITY;
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
        [`pad/${caller}`, value.padEnd(PAD_BYTES, ".")],
      ];
  }
}

async function load(engine, caller, openRevision) {
  for (let count = 0; ; count++) {
    const writes = writesOf(caller, count);
    const revision = await commit(engine, writes, mode !== "churn" && caller % IN_PIECES_EVERY === 1);
    if (revision === undefined) {
      continue;
    }
    tell(`wrote ${revision} ${writes.map((write) => write.join("=")).join(",")}`);
    left--;
    if (left <= 0) {
      process.kill(process.pid, "SIGKILL");
    }
    if (caller === 0) {
      await compact(engine, compactTo({ count, revision, openRevision }));
      if (mode === "churn" && count % CHURN_DEFRAGMENTS_EVERY === 0) {
        await defragment(engine);
      }
    }
  }
}

/** Commits writes and gives their revision; undefined where the disk refused them, as it may where churn is to go on. */
async function commit(engine, writes, isInPieces) {
  try {
    const request = { compares: [], success: writes.map(operation), failure: [] };
    return (await engine.txn(isInPieces ? nested(request) : request)).revision;
  } catch (error) {
    if (mode === "churn" && error.code === "storeUnavailable") {
      return undefined;
    }
    throw error;
  }
}

/** A transaction with another one in it is not short: with the smallest slices each of its writes is a piece. */
function nested(request) {
  return { compares: [], success: [{ kind: "txn", request }], failure: [] };
}

/** Where the first caller compacts to after a transaction, or 0. */
function compactTo({ count, revision, openRevision }) {
  if (mode === "churn") {
    return count % CHURN_COMPACTS_EVERY === CHURN_COMPACTS_EVERY - 1 ? revision - CHURN_KEEPS : 0;
  }
  return count === COMPACT_AT && openRevision > 1 ? openRevision : 0;
}

async function compact(engine, revision) {
  if (revision > 0) {
    try {
      await engine.compact(revision);
      tell(`compacted ${revision}`);
    } catch (error) {
      if (mode !== "churn" || error.code !== "storeUnavailable") {
        throw error;
      }
    }
  }
}

async function defragment(engine) {
  try {
    await engine.defragment();
    tell("defragmented");
  } catch (error) {
    if (mode !== "churn" || error.code !== "storeUnavailable") {
      throw error;
    }
  }
}

async function keepDefragmenting(engine) {
  while (mode === "defragment") {
    await defragment(engine);
  }
}

/** Shows all that happens to a watcher, revision by revision. */
async function watch(engine) {
  for await (const message of engine.watch({ key: Buffer.alloc(0), end: null })) {
    const revisions = new Map();
    for (const { kind, kv } of message.kind === "events" ? message.events : []) {
      const write = kind === "put" ? `${Buffer.from(kv.key)}=${Buffer.from(kv.value)}` : `${Buffer.from(kv.key)}`;
      revisions.set(kv.modRevision, [...(revisions.get(kv.modRevision) ?? []), write]);
    }
    for (const [revision, writes] of revisions) {
      tell(`watched ${revision} ${writes.join(",")}`);
    }
  }
}

/** Churn goes on where a failing disk keeps the store from being opened anew: such a read showed nobody anything. */
function unlessUnavailable(error) {
  if (mode !== "churn" || error.code !== "storeUnavailable") {
    throw error;
  }
  return { revision: 0 };
}

async function read(engine) {
  for (let last = 0; ; ) {
    const { revision } = await engine
      .range({ key: Buffer.from("single/"), end: null, limit: 10 })
      .catch(unlessUnavailable);
    if (revision > last) {
      tell(`saw ${revision}`);
      last = revision;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

try {
  // Under load some transactions go in pieces, so that kills meet unfinished ones.
  const pieces = mode === "load" || mode === "defragment" ? { writeSlice: { ms: 0, unitsPerLook: 1 } } : {};
  const engine = await openLmdbEngine({ directory, clock: systemClock, ...pieces });
  const { revision } = await engine.status();
  tell(`open ${revision}`);
  if (mode !== "hold") {
    const { id } = await engine.grantLease({ id: 0n, ttl: 100_000 });
    tell(`lease ${id}`);
    const callers = Array.from({ length: CALLERS }, (_, caller) => load(engine, caller, revision));
    await Promise.all([...callers, watch(engine), read(engine), keepDefragmenting(engine)]);
  }
  // Nothing else keeps the process alive, and it must live until it is killed.
  setInterval(() => {}, 1_000_000);
} catch (error) {
  tell(`failed ${error.code} ${error.message}`);
  console.error(error.stack);
  process.exitCode = 1;
}
