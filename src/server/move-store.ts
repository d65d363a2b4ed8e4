/** Moves a store between the engines there are, by way of a file: see domain/move. */
import type { Clock } from "../base/clock.ts";
import { isMusterError, MusterError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { ExportFile } from "../domain/move/export-file.ts";
import { type Exported, exportStore } from "../domain/move/export-writer.ts";
import { refuseHalfImport } from "../domain/move/half-import.ts";
import { importStore } from "../domain/move/import-store.ts";
import type { Engine } from "../engine/engine.ts";
import { mustHoldStore } from "../engine/lmdb/data-directory.ts";
import { importIntoLmdb } from "../engine/lmdb/lmdb-import.ts";
import { openStore } from "./open-store.ts";
import type { StoreConfig } from "./store-config.ts";

export interface MoveOptions {
  readonly store: StoreConfig;
  readonly file: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Exports the store to a file that is not there yet. Errors: see exportStore, and those of opening the store. */
export async function exportFrom({ store, file, clock, log }: MoveOptions): Promise<Exported> {
  if (store.kind === "embedded") mustHoldStore(store.dataDir);
  const engine = await openStore({ store, clock, log }).catch((error: unknown) => {
    throw inUse(error);
  });
  return closing(engine, async () => {
    await refuseHalfImport(engine);
    return exportStore({ engine, file, now: clock.now() });
  });
}

/**
 * Imports a file into the store, which must be empty. `again`: where an import into it did not end, all that it left goes
 * first. Errors: see importStore and importIntoLmdb, and those of opening the store.
 */
export async function importInto(options: MoveOptions & { readonly again: boolean }): Promise<Exported> {
  const { store, clock, log, again } = options;
  const file = ExportFile.open(options.file);
  try {
    const { header, leases, index } = file;
    if (store.kind === "embedded") {
      const moment = { revision: header.revision, leases, keys: file.keys() };
      await importIntoLmdb({ directory: store.dataDir, moment, again });
    } else {
      const engine = await openStore({ store, clock, log });
      await closing(engine, () => importStore({ engine, file, again }));
    }
    return { revision: header.revision, leases: leases.length, keys: index.length };
  } finally {
    file.close();
  }
}

/** What `muster serve` would be told of a data directory in use is no help to those who export it. */
function inUse(error: unknown): unknown {
  if (!isMusterError(error, "directoryInUse")) return error;
  return new MusterError("directoryInUse", "Stop the Muster that uses the data directory, then export it", {
    cause: error,
  });
}

async function closing<T>(engine: Engine, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await engine.close();
  }
}
