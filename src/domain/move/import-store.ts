/**
 * Imports an export into a store that gives its own revisions, such as one over etcd. All of them come to lie beyond what
 * clients were told of; what they must be told to add is kept in the store. While it goes on the store has a mark, by
 * which nobody takes half of it for the whole, and by which it is known what a write has done whose answer was lost.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { NO_BYTES, utf8 } from "../../base/bytes.ts";
import { isMusterError, MusterError } from "../../base/errors.ts";
import { EXPORT_LEASES_AT_ONCE, IMPORT_PATIENCE_MS, IMPORT_RETRY_MS } from "../../base/move-limits.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Compare, LeaseId, Operation, PutRequest, Revision } from "../../engine/model.ts";
import { nested } from "../nested.ts";
import type { ExportFile } from "./export-file.ts";
import { halfImport, IMPORT_KEY, OFFSET_KEY, readMark } from "./half-import.ts";
import { NewRevisions } from "./new-revisions.ts";
import { type Step, stepsOf } from "./replay.ts";
import { firstPut, lastPut } from "./rewrite.ts";

export interface ImportOptions {
  readonly engine: Engine;
  readonly file: ExportFile;
  /** Whether what an import that did not end has left is to go first. */
  readonly again: boolean;
  /** How long a write is tried again while the store does not answer, in ms. */
  readonly patienceMs?: number;
}

const RENEWALS_IN_A_LIFE = 4;

const EVERYTHING = { key: NO_BYTES, end: null } as const;

/**
 * Imports all of an export; resolved means that it can be served. What fails leaves an empty place, or a mark where even
 * that cannot be reached. Errors: `configInvalid` where the place is not empty, or a lease's ID is taken;
 * `directoryCorrupt` where half an import is there and `again` was not asked for; `tooLarge`; the engine's.
 */
export async function importStore(options: ImportOptions): Promise<void> {
  const { engine, again } = options;
  if (again) await clear(engine);
  await refuseUsed(engine);
  const run = new ImportRun(options);
  await run.begin();
  try {
    await run.grantLeases();
    await run.replay();
    await run.renewLeases();
    await run.finish();
  } catch (error) {
    await run.undo(error);
    throw error;
  }
}

/** Deletes all that is there, where it is what an import left that did not end. */
async function clear(engine: Engine): Promise<void> {
  const mark = await readMark(engine);
  if (mark === undefined) return;
  for (const id of await engine.leases()) await revoke(engine, id);
  const success: readonly Operation[] = [{ kind: "deleteRange", request: EVERYTHING }];
  await engine.txn({ compares: [markIs(mark.value)], success, failure: [] });
}

async function revoke(engine: Engine, id: LeaseId): Promise<void> {
  try {
    await engine.revokeLease(id);
  } catch (error) {
    if (!isMusterError(error, "leaseNotFound")) throw error;
  }
}

async function refuseUsed(engine: Engine): Promise<void> {
  if ((await readMark(engine)) !== undefined) throw halfImport();
  const { kvs } = await engine.range({ ...EVERYTHING, limit: 1, keysOnly: true, uncounted: true });
  const [kv] = kvs;
  if (kv !== undefined) throw used(`it holds the key ${JSON.stringify(Buffer.from(kv.key).toString())}`);
  const [lease] = await engine.leases();
  if (lease !== undefined) throw used(`it holds the lease "${lease}"`);
}

function used(state: string): MusterError {
  return new MusterError(
    "configInvalid",
    `Import into an empty place: another --store-prefix, or an etcd without keys and leases: ${state}`,
  );
}

function markIs(value: string): Compare {
  return { key: IMPORT_KEY, target: "value", result: "equal", expected: utf8(value) };
}

/** One import, from its mark to its end. */
class ImportRun {
  readonly #engine: Engine;
  readonly #file: ExportFile;
  readonly #patienceMs: number;
  readonly #id = randomUUID();
  readonly #revisions = new NewRevisions();
  #granted: LeaseId[] = [];
  #offset = 0;
  /** When all leases are to be renewed, by performance.now(). */
  #renewAt = Number.POSITIVE_INFINITY;
  #steps = 0;

  constructor({ engine, file, patienceMs = IMPORT_PATIENCE_MS }: ImportOptions) {
    this.#engine = engine;
    this.#file = file;
    this.#patienceMs = patienceMs;
  }

  /** Marks the place as this import's. From then on every revision is beyond all that the export tells of. */
  async begin(): Promise<void> {
    const nothing: Compare = { ...EVERYTHING, target: "version", result: "equal", expected: 0 };
    const { succeeded, revision } = await this.#engine.txn({
      compares: [nothing],
      success: [{ kind: "put", request: { key: IMPORT_KEY, value: utf8(this.#mark) } }],
      failure: [],
    });
    if (!succeeded) throw used("somebody began to use it just now");
    this.#offset = Math.max(0, this.#file.header.revision - revision);
  }

  /** With all of their time, as when an etcd has a new leader: what is left of it cannot be told to etcd. */
  async grantLeases(): Promise<void> {
    const { leases } = this.#file;
    for (let from = 0; from < leases.length; from += EXPORT_LEASES_AT_ONCE) {
      const part = leases.slice(from, from + EXPORT_LEASES_AT_ONCE);
      const grants = await Promise.allSettled(part.map(({ id, ttl }) => this.#grant(id, ttl)));
      const failed = grants.find((grant) => grant.status === "rejected");
      if (failed !== undefined) throw failed.reason;
    }
    this.#noteRenewal();
  }

  /** None may end, and take its keys, while others are still written. */
  async renewLeases(): Promise<void> {
    const { leases } = this.#file;
    for (let from = 0; from < leases.length; from += EXPORT_LEASES_AT_ONCE) {
      const part = leases.slice(from, from + EXPORT_LEASES_AT_ONCE);
      await Promise.all(part.map(({ id }) => this.#persist(() => this.#engine.keepLeaseAlive(id))));
    }
    this.#noteRenewal();
  }

  async replay(): Promise<void> {
    for (const step of stepsOf(this.#file.index)) {
      if (performance.now() >= this.#renewAt) await this.renewLeases();
      const puts = this.#putsOf(step);
      if (puts.length === 0) continue;
      const revision = await this.#commit(puts);
      this.#revisions.add(step.revision, revision + this.#offset);
    }
  }

  /** The mark goes, and what has to be added to revisions comes: from that moment on it is the store. */
  async finish(): Promise<void> {
    const success: readonly Operation[] = [
      { kind: "deleteRange", request: { key: IMPORT_KEY } },
      { kind: "put", request: { key: OFFSET_KEY, value: utf8(String(this.#offset)) } },
    ];
    await this.#persist(async () => {
      const { succeeded } = await this.#engine.txn({ compares: [markIs(this.#mark)], success, failure: [] });
      if (succeeded) return true;
      const { kvs } = await this.#engine.range({ key: OFFSET_KEY });
      if (kvs.length === 0) throw takenOver();
      return true;
    });
  }

  /** Leaves an empty place, if it can: why it could not is of no interest beside what failed. */
  async undo(reason: unknown): Promise<void> {
    // Somebody else's import is there now.
    if (isMusterError(reason, "contention")) return;
    try {
      for (const id of this.#granted) await revoke(this.#engine, id);
      const success: readonly Operation[] = [{ kind: "deleteRange", request: EVERYTHING }];
      const mark = await readMark(this.#engine);
      if (mark?.value.startsWith(this.#id) !== true) return;
      await this.#engine.txn({ compares: [markIs(mark.value)], success, failure: [] });
    } catch {
      // The mark is left, which says what to do.
    }
  }

  #noteRenewal(): void {
    const shortestMs = this.#file.leases.reduce(
      (least, { ttl }) => Math.min(least, ttl * 1000),
      Number.POSITIVE_INFINITY,
    );
    this.#renewAt = performance.now() + shortestMs / RENEWALS_IN_A_LIFE;
  }

  get #mark(): string {
    return `${this.#id} ${this.#steps}`;
  }

  async #grant(id: LeaseId, ttl: number): Promise<void> {
    try {
      await this.#persist(() => this.#engine.grantLease({ id, ttl }));
    } catch (error) {
      if (!isMusterError(error, "leaseExists")) throw error;
      // It is ours if an answer was lost: the place was empty.
      if (!(await this.#engine.leases()).includes(id)) throw takenLease(id, error);
    }
    this.#granted.push(id);
  }

  #putsOf({ puts }: Step): readonly PutRequest[] {
    const options = {
      newRevision: (before: Revision) => this.#revisions.get(before),
      find: (key: Uint8Array) => this.#file.find(key),
    };
    return puts.flatMap(({ place, isLast }) => {
      const kv = this.#file.at(place);
      return isLast ? lastPut(kv, options) : firstPut(kv);
    });
  }

  /** Writes a step once, whatever becomes of the answers; resolves with the revision that it was. */
  async #commit(puts: readonly PutRequest[]): Promise<Revision> {
    try {
      return await this.#put(puts);
    } catch (error) {
      throw isMusterError(error, "tooLarge") ? tooLarge(puts, error) : error;
    }
  }

  async #put(puts: readonly PutRequest[]): Promise<Revision> {
    const operations = puts.map((request): Operation => ({ kind: "put", request }));
    const before = this.#mark;
    this.#steps++;
    const after = this.#mark;
    const mark: Operation = { kind: "put", request: { key: IMPORT_KEY, value: utf8(after) } };
    const txn = { compares: [markIs(before)], success: nested([mark, ...operations]), failure: [] };
    return this.#persist(async () => {
      const { succeeded, revision } = await this.#engine.txn(txn);
      if (succeeded) return revision;
      // It was done by a try whose answer was lost.
      const mark = await readMark(this.#engine);
      if (mark?.value !== after) throw takenOver();
      return mark.revision;
    });
  }

  async #persist<T>(work: () => Promise<T>): Promise<T> {
    const deadline = performance.now() + this.#patienceMs;
    for (;;) {
      try {
        return await work();
      } catch (error) {
        const mayPass = isMusterError(error, "storeUnavailable") || isMusterError(error, "outcomeUnknown");
        if (!mayPass || performance.now() >= deadline) throw error;
      }
      await sleep(IMPORT_RETRY_MS);
    }
  }
}

function tooLarge(puts: readonly PutRequest[], cause: unknown): MusterError {
  const bytes = puts.reduce((sum, { key, value }) => sum + key.length + value.length, 0);
  const [first] = puts;
  const name = JSON.stringify(Buffer.from(first?.key ?? NO_BYTES).toString());
  return new MusterError(
    "tooLarge",
    `Start etcd with a larger --max-request-bytes: ${puts.length} keys that were put at once have ${bytes} bytes, the first is ${name}`,
    { cause },
  );
}

function takenLease(id: LeaseId, cause: unknown): MusterError {
  return new MusterError(
    "configInvalid",
    `Import into another etcd, or end the lease ${id.toString(16)} (etcdctl lease revoke) in this one: the export has a lease of the same ID`,
    { cause },
  );
}

function takenOver(): MusterError {
  return new MusterError("contention", "Look whether another import goes on: somebody else has written to the place");
}
