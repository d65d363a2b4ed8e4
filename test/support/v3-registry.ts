import { prefixEnd, text, utf8 } from "../../src/base/bytes.ts";
import type { Clock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { type Keyspace, openKeyspace } from "../../src/domain/keyspace/keyspace.ts";
import type { Origin } from "../../src/domain/registry/origin.ts";
import { Registry } from "../../src/domain/registry/registry.ts";
import {
  type MemberRecord,
  memberRecordKey,
  readMemberRecord,
  type TokenRecord,
} from "../../src/domain/registry/registry-layout.ts";
import { TOKEN_RANDOM_BYTES, type Token, tokenPath } from "../../src/domain/registry/token.ts";
import { readToken } from "../../src/domain/registry/token-state.ts";
import type { TreeEvent, TreeStore } from "../../src/domain/tree/model.ts";
import { Tree } from "../../src/domain/tree/tree.ts";
import { childPath } from "../../src/domain/tree/tree-path.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { openMemoryEngine } from "../../src/engine/memory/memory-engine.ts";
import type { KeyRange, KeyValue, Operation, TxnResult } from "../../src/engine/model.ts";

export const TOKEN_TTL_MS = 3_600_000;

const OPERATOR: Origin = { protocol: "v3", address: "10.0.0.1", host: "muster:8088", connection: {}, scope: "client" };
const NODE: Origin = { ...OPERATOR, scope: "public" };

/** A clock that is moved by hand. */
class HandClock implements Clock {
  ms = 1_700_000_000_000;
  now = (): number => this.ms;
  monotonic = (): number => this.ms;
}

/** A registry on a store in memory, and what nodes and operators do there by both protocols. */
export class V3Registry implements AsyncDisposable {
  readonly clock: HandClock;
  readonly engine: Engine;
  readonly #isOwner: boolean;
  readonly #tree: Tree;
  readonly #registry: Registry;
  /** An operator's v3 client. */
  readonly keyspace: Keyspace;
  /** A node's v2 client. */
  readonly store: TreeStore;

  private constructor(
    parts: Pick<V3Registry, "clock" | "engine"> & {
      readonly tree: Tree;
      readonly registry: Registry;
      readonly isOwner: boolean;
    },
  ) {
    this.#isOwner = parts.isOwner;
    this.clock = parts.clock;
    this.engine = parts.engine;
    this.#tree = parts.tree;
    this.#registry = parts.registry;
    this.keyspace = parts.registry.keyspaceFor(OPERATOR, openKeyspace(parts.engine));
    this.store = parts.registry.storeFor({ ...NODE, protocol: "v2" });
  }

  /** `on`: a store that somebody else opens and closes; without it, one in memory. */
  static async open(on?: Engine): Promise<V3Registry> {
    const clock = new HandClock();
    const engine = on ?? openMemoryEngine({ clock });
    const tree = await Tree.open({ engine, clock, log: silentLog });
    let made = 0;
    const randomTokenBytes = () => Buffer.alloc(TOKEN_RANDOM_BYTES, ++made);
    const shared = { engine, tree, clock };
    const registry = Registry.open({ ...shared, log: silentLog, tokenTtlMs: TOKEN_TTL_MS, randomTokenBytes });
    return new V3Registry({ ...shared, registry, isOwner: on === undefined });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#registry.close();
    await this.#tree.close();
    if (this.#isOwner) await this.engine.close();
  }

  async newToken(size: number): Promise<Token> {
    return (await this.#registry.createToken(size)).token;
  }

  exists(token: Token): Promise<boolean> {
    return this.#registry.exists(token);
  }

  registerByV2(token: Token, id: string, value: string): Promise<TreeEvent> {
    const path = childPath(tokenPath(token), id);
    const content = { kind: "file", value: utf8(value) } as const;
    return this.store.write({ kind: "create", path, content, expiry: { kind: "never" } });
  }

  registerByV3(token: Token, id: string, value: string): Promise<number> {
    return this.#registry.register({ token, id, value: utf8(value) }, NODE);
  }

  /** A transaction of the operator's. */
  commit(...success: readonly Operation[]): Promise<TxnResult> {
    return this.keyspace.txn({ compares: [], success, failure: [] });
  }

  /** The members as a v3 client lists them: see `shown`. */
  async listByV3(token: Token): Promise<readonly string[]> {
    return shown((await this.keyspace.range(membersOf(token))).kvs);
  }

  /** The members as a v2 client lists them: `id=value`. */
  async listByV2(token: Token): Promise<readonly string[]> {
    const { node } = await this.store.get(tokenPath(token), { recursive: false, sorted: true });
    const nodes = node.kind === "directory" ? [...(node.nodes ?? [])] : [];
    return nodes.map((each) => `${each.path.split("/").at(-1)}=${each.kind === "file" ? text(each.value) : "(dir)"}`);
  }

  async revision(): Promise<number> {
    return (await this.engine.status()).revision;
  }

  /** The token's record. */
  async record(token: Token): Promise<TokenRecord | undefined> {
    const state = await readToken(this.engine, token, this.clock.now());
    if (!state.exists) throw new Error("the token is gone");
    return state.record;
  }

  /** How a member came. */
  async memberRecord(token: Token, id: string): Promise<MemberRecord | undefined> {
    const { kvs } = await this.engine.range({ key: memberRecordKey(token, id) });
    const [kv] = kvs;
    return kv === undefined ? undefined : readMemberRecord(kv.key, kv.value);
  }

  /** Everything up to now is compacted. */
  async forgetHistory(): Promise<void> {
    await this.commit(put(utf8("/other"), "x"));
    await this.engine.compact(await this.revision());
  }
}

/** Where v3 looks for a member. */
export function memberKey(token: Token, id: string): Uint8Array {
  return utf8(`${tokenPath(token)}/members/${id}`);
}

/** The range that etcd's discovery asks for: a prefix without a slash at its end. */
export function membersOf(token: Token): KeyRange {
  const key = utf8(`${tokenPath(token)}/members`);
  return { key, end: prefixEnd(key) };
}

export function put(key: Uint8Array, value: string): Operation {
  return { kind: "put", request: { key, value: utf8(value) } };
}

/** `<key below the token>=<value>` */
export function shown(kvs: readonly KeyValue[]): readonly string[] {
  return kvs.map(({ key, value }) => `${text(key).split("/").slice(4).join("/")}=${text(value)}`);
}
