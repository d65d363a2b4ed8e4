/**
 * Holds what clients were told against what the store has: what was acknowledged is there once and in its place, what was
 * refused is not, what nobody knows may be either, no condition was overlooked, no answer was stale, no watch lost or
 * repeated anything, and clusters that formed all formed with one list.
 */
import { checkFormations } from "./check-formations.ts";
import type { Change, FinalState, History, Operation, Read, Watching, Write } from "./history.ts";
import { StoreLog } from "./store-log.ts";

/** What is wrong, a sentence each; empty: nothing. */
export function check(history: History): readonly string[] {
  const log = new StoreLog(history.log);
  const writes = history.operations.filter((operation) => operation.kind === "write");
  const reads = history.operations.filter((operation) => operation.kind === "read");
  return [
    ...writes.flatMap((write) => checkWrite(write, log)),
    ...checkConditions(writes, log),
    ...checkOrder(writes, log),
    ...reads.flatMap((read) => checkRead(read, log)),
    ...checkTime(history.operations),
    ...history.watches.flatMap((watching) => checkWatching(watching, log)),
    ...history.finals.flatMap((state) => checkFinal(state, log)),
    ...checkFormations(history.formations, log),
  ];
}

function checkWrite(write: Write, log: StoreLog): readonly string[] {
  const { outcome, value } = write;
  const puts = log.putsOf(value);
  const found = puts.map(({ key, revision }) => `${key} at ${revision}`).join(", ");
  if (puts.length > 1) return [`${told(write)}: applied ${puts.length} times: ${found}`];
  const [put] = puts;
  switch (outcome.kind) {
    case "refused":
      return put === undefined ? [] : [`${told(write)}: was refused (${outcome.why}) and is there: ${found}`];
    case "unknown":
      return put === undefined || isItsKey(write, put.key) ? [] : [`${told(write)}: is in another place: ${found}`];
    case "done":
      if (put === undefined) return [`${told(write)}: was acknowledged and is lost`];
      return put.revision === outcome.revision && put.key === write.key
        ? []
        : [`${told(write)}: was acknowledged at ${outcome.revision} and is elsewhere: ${found}`];
  }
}

function isItsKey({ key }: Write, found: string): boolean {
  return key.endsWith("/") ? found.startsWith(key) : found === key;
}

/** One winner for every index, and one first for every key: each conditional write that was applied replaced what it says. */
function checkConditions(writes: readonly Write[], log: StoreLog): readonly string[] {
  return writes.flatMap((write) => {
    const [put] = log.putsOf(write.value);
    if (put === undefined || write.replaces === undefined) return [];
    const replaced = log.replacedBy(put);
    return replaced === write.replaces
      ? []
      : [`${told(write)}: was to replace revision ${write.replaces} and replaced ${replaced}`];
  });
}

/** Keys that the server chose rise in order of creation, and each was given once. */
function checkOrder(writes: readonly Write[], log: StoreLog): readonly string[] {
  const directories = new Set<string>();
  for (const { key, value } of writes) {
    const put = log.putsOf(value)[0];
    const directory = key.slice(0, key.lastIndexOf("/") + 1);
    if (put !== undefined && IN_ORDER.test(directory)) directories.add(directory);
  }
  return [...directories].flatMap((directory) => {
    const puts = log.below(directory, { from: 0, to: Number.POSITIVE_INFINITY });
    return puts.flatMap((put, place) => {
      const before = puts[place - 1];
      return before === undefined || before.key < put.key
        ? []
        : [`in-order key ${put.key} at ${put.revision}: ${before.key} was made before it, at ${before.revision}`];
    });
  });
}

/** Directories in which only in-order keys are made. */
const IN_ORDER = /\/queue[^/]*\/$/;

function checkRead(read: Read, log: StoreLog): readonly string[] {
  const { found, key } = read;
  if (found === undefined) return [];
  const last = log.at(key, found.storeRevision);
  const expected = last?.value === undefined ? 0 : last.revision;
  if (found.modRevision !== expected) {
    return [
      `${told(read)}: at ${found.storeRevision} it showed revision ${found.modRevision}, and ${expected} stood there`,
    ];
  }
  return expected === 0 || last?.value === found.value
    ? []
    : [`${told(read)}: at ${found.storeRevision} it showed "${found.value}", and "${last?.value}" stood there`];
}

/**
 * What began after an answer came knows what that answer told: no index goes back, whichever client asked whichever
 * Muster. A write's revision is even greater than any that was told before it began.
 */
function checkTime(operations: readonly Operation[]): readonly string[] {
  const answered = operations.flatMap((operation) => {
    const index = indexOf(operation);
    return index === undefined ? [] : [{ operation, index }];
  });
  const byEnd = [...answered].sort((a, b) => a.operation.ended - b.operation.ended);
  const byBegin = [...answered].sort((a, b) => a.operation.begun - b.operation.begun);
  const wrong: string[] = [];
  let newest: (typeof answered)[number] | undefined;
  let next = 0;
  for (const each of byBegin) {
    for (
      let ended = byEnd[next];
      ended !== undefined && ended.operation.ended < each.operation.begun;
      ended = byEnd[++next]
    ) {
      if (newest === undefined || ended.index > newest.index) newest = ended;
    }
    if (newest === undefined) continue;
    const isBehind = each.operation.kind === "write" ? each.index <= newest.index : each.index < newest.index;
    if (isBehind) {
      wrong.push(
        `${told(each.operation)}: index ${each.index} after ${newest.index}, which ${told(newest.operation)} had been told`,
      );
    }
  }
  return wrong;
}

function indexOf(operation: Operation): number | undefined {
  if (operation.kind === "read") return operation.found?.storeRevision;
  return operation.outcome.kind === "done" ? operation.outcome.revision : undefined;
}

function checkWatching({ client, prefix, from, changes, broken }: Watching, log: StoreLog): readonly string[] {
  if (broken !== undefined) return [`${client} (${prefix} from ${from}): its watch ended: ${broken}`];
  const last = changes.at(-1);
  const expected = last === undefined ? [] : log.below(prefix, { from, to: last.revision });
  for (const [place, change] of expected.entries()) {
    const seen = changes[place];
    if (seen !== undefined && isSame(seen, change)) continue;
    return [`${client} (${prefix} from ${from}): was told ${shown(seen)} where ${shown(change)} came`];
  }
  const extra = changes[expected.length];
  if (extra === undefined) return [];
  const before = changes[expected.length - 1];
  return [`${client} (${prefix} from ${from}): was told ${shown(extra)} after ${shown(before)}, beyond all that came`];
}

function isSame(a: Change, b: Change): boolean {
  return a.revision === b.revision && a.key === b.key && a.value === b.value;
}

function checkFinal({ muster, prefix, storeRevision, keys }: FinalState, log: StoreLog): readonly string[] {
  const expected = [...log.keys()]
    .filter((key) => key.startsWith(prefix))
    .flatMap((key) => {
      const last = log.at(key, storeRevision);
      return last?.value === undefined ? [] : [`${key} = "${last.value}" (${last.revision})`];
    });
  const found = new Set(keys.map(({ key, value, modRevision }) => `${key} = "${value}" (${modRevision})`));
  const missing = expected.filter((line) => !found.delete(line));
  return [
    ...missing.map((line) => `${muster} does not show at the end: ${line}`),
    ...[...found].map((line) => `${muster} shows at the end what is not there: ${line}`),
  ];
}

function shown(change: Change | undefined): string {
  return change === undefined ? "nothing" : `${change.key} = ${JSON.stringify(change.value)} (${change.revision})`;
}

function told(operation: Operation): string {
  const { client, muster, begun, ended, key } = operation;
  const what = operation.kind === "read" ? `read of ${key}` : `write of "${operation.value}" to ${key}`;
  return `${what} by ${client} through ${muster} (${Math.round(begun)}–${Math.round(ended)} ms)`;
}
