import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { utf8 } from "../../src/base/bytes.ts";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { ExportFile } from "../../src/domain/move/export-file.ts";
import { exportStore } from "../../src/domain/move/export-writer.ts";
import { importStore } from "../../src/domain/move/import-store.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { openLmdbEngine } from "../../src/engine/lmdb/lmdb-engine.ts";
import { importIntoLmdb } from "../../src/engine/lmdb/lmdb-import.ts";
import { openMemoryEngine } from "../../src/engine/memory/memory-engine.ts";
import type { Revision } from "../../src/engine/model.ts";

/** A place for exports and data directories, and for engines that a test opens: all of it goes with it. */
export class MovingPlace implements AsyncDisposable {
  readonly directory: string;
  readonly #clock: Clock;
  readonly #engines: Engine[] = [];
  #files = 0;

  private constructor(directory: string, clock: Clock) {
    this.directory = directory;
    this.#clock = clock;
  }

  static async make(clock: Clock = systemClock): Promise<MovingPlace> {
    return new MovingPlace(await mkdtemp(join(tmpdir(), "muster-moving-")), clock);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const engine of this.#engines) await engine.close();
    await rm(this.directory, { recursive: true });
  }

  /** A path that nothing is at yet. */
  path(): string {
    return join(this.directory, `${++this.#files}`);
  }

  memory(): Engine {
    return this.#keep(openMemoryEngine({ clock: this.#clock }));
  }

  async lmdb(directory: string): Promise<Engine> {
    return this.#keep(await openLmdbEngine({ directory, clock: this.#clock }));
  }

  /** The store, exported. */
  async export(engine: Engine): Promise<string> {
    const file = this.path();
    await exportStore({ engine, file, now: this.#clock.now() });
    return file;
  }

  /** A data directory made of the store. */
  async toLmdb(engine: Engine): Promise<Engine> {
    using file = opened(await this.export(engine));
    const { header, leases } = file.export;
    const directory = this.path();
    const moment = { revision: header.revision, leases, keys: file.export.keys() };
    await importIntoLmdb({ directory, moment, again: false });
    return this.lmdb(directory);
  }

  /**
   * The store in another one that gives revisions of its own, beyond those of before, as one over etcd. Somebody else
   * uses the revisions in between, and `before` of them before the first.
   */
  async toOwnRevisions(engine: Engine, before = 0): Promise<Engine> {
    using file = opened(await this.export(engine));
    const { revision } = await engine.status();
    const target = this.memory();
    await burn(target, revision + before);
    await importStore({ engine: target, file: file.export, again: false });
    // What an engine over etcd does by itself: nothing before the import's end is there.
    await target.compact((await target.status()).revision);
    return target;
  }

  #keep(engine: Engine): Engine {
    this.#engines.push(engine);
    return engine;
  }
}

export function opened(path: string): Disposable & { readonly export: ExportFile } {
  const file = ExportFile.open(path);
  return { export: file, [Symbol.dispose]: () => file.close() };
}

/** Moves an empty store on to a revision. */
async function burn(engine: Engine, revision: Revision): Promise<void> {
  const key = utf8("burnt");
  const put = { kind: "put", request: { key, value: key } } as const;
  for (let now = (await engine.status()).revision; now < revision - 1; now++) {
    await engine.txn({ compares: [], success: [put], failure: [] });
  }
  await engine.txn({ compares: [], success: [put], failure: [] });
  await engine.txn({ compares: [], success: [{ kind: "deleteRange", request: { key } }], failure: [] });
}
