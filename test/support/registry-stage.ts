import { type Log, silentLog } from "../../src/base/log.ts";
import { type Keyspace, openKeyspace } from "../../src/domain/keyspace/keyspace.ts";
import type { Origin } from "../../src/domain/registry/origin.ts";
import { Registry } from "../../src/domain/registry/registry.ts";
import { TOKEN_RANDOM_BYTES } from "../../src/domain/registry/token.ts";
import type { TreeStore } from "../../src/domain/tree/model.ts";
import { Tree } from "../../src/domain/tree/tree.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { openMemoryEngine } from "../../src/engine/memory/memory-engine.ts";

export const HOUR_MS = 3_600_000;

const NODE: Origin = { protocol: "v2", address: "10.0.0.1", host: "discovery:8087", connection: {}, scope: "public" };

interface Open {
  readonly tree: Tree;
  readonly registry: Registry;
}

/** A registry on a store in memory, whose tokens live an hour; of the n-th token the random bytes are all n. */
export class RegistryStage {
  /** The time, which stands still unless a test moves it: no sweeper runs by itself. */
  now = 1_700_000_000_000;
  readonly clock = { now: () => this.now, monotonic: () => this.now };
  readonly engine: Engine = openMemoryEngine({ clock: this.clock });
  readonly #log: Log;
  #tokensMade = 0;
  #open: Open | undefined;

  private constructor(log: Log) {
    this.#log = log;
  }

  /** The service on an empty store. Must be closed. `log`: the registry's; silent unless given. */
  static async open(log: Log = silentLog): Promise<RegistryStage> {
    const stage = new RegistryStage(log);
    await stage.#start();
    return stage;
  }

  get tree(): Tree {
    return this.#opened.tree;
  }

  get registry(): Registry {
    return this.#opened.registry;
  }

  /** What a node writes to and reads from. */
  get nodes(): TreeStore {
    return this.registry.storeFor(NODE);
  }

  /** What an operator writes to and reads from. */
  get operator(): TreeStore {
    return this.registry.storeFor({ ...NODE, scope: "client" });
  }

  /** What an operator's v3 client reads and writes. */
  get keyspace(): Keyspace {
    return this.registry.keyspaceFor({ ...NODE, protocol: "v3", scope: "client" }, openKeyspace(this.engine));
  }

  /** The service again, on the same store: all that it had in memory is gone. */
  async restart(): Promise<void> {
    await this.#stop();
    await this.#start();
  }

  async close(): Promise<void> {
    await this.#stop();
    await this.engine.close();
  }

  async revision(): Promise<number> {
    return (await this.engine.status()).revision;
  }

  get #opened(): Open {
    if (this.#open === undefined) throw new Error("the stage is closed");
    return this.#open;
  }

  async #start(): Promise<void> {
    const { engine, clock } = this;
    const tree = await Tree.open({ engine, clock, log: silentLog });
    const randomTokenBytes = () => Buffer.alloc(TOKEN_RANDOM_BYTES, ++this.#tokensMade % 256);
    const registry = Registry.open({ engine, tree, clock, log: this.#log, tokenTtlMs: HOUR_MS, randomTokenBytes });
    this.#open = { tree, registry };
  }

  async #stop(): Promise<void> {
    const { tree, registry } = this.#opened;
    this.#open = undefined;
    await registry.close();
    await tree.close();
  }
}
