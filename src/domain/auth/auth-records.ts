/**
 * Reads users and roles, and changes them: each change is one transaction, on the condition that nobody has changed any
 * of them since they were read.
 */
import { AUTH_WRITE_ATTEMPTS } from "../../base/auth-limits.ts";
import { equalBytes } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import { KeyedQueue } from "../../base/keyed-queue.ts";
import type { Engine } from "../../engine/engine.ts";
import { inSlices } from "../../engine/long-loop.ts";
import type { Compare, KeyRange, KeyValue, Operation, OperationResult, Revision } from "../../engine/model.ts";
import { nested } from "../nested.ts";
import {
  AUTH_REVISION_KEY,
  type AuthKind,
  authKey,
  authName,
  authRange,
  isAuthKey,
  putAuthRevision,
  readAuthRevision,
  readRole,
  readUser,
} from "./auth-layout.ts";
import type { Role, User } from "./auth-model.ts";

/** Of whom it is asked. */
export interface AuthQuestion {
  readonly user?: string;
  readonly role?: string;
  readonly allUsers?: boolean;
}

/** What was asked for, at one moment. */
export interface AuthFound {
  /** The store's revision. */
  readonly revision: Revision;
  /** How often users and roles were changed, counted as etcd does: 1 where they never were. */
  readonly authRevision: number;
  /** Which of those that were asked for there are. */
  readonly users: ReadonlyMap<string, User>;
  readonly role: Role | undefined;
  /** Holds as long as nobody changes users or roles. */
  readonly unchanged: Compare;
}

/** What is to be done to what was found; undefined where nothing is. Throws what refuses it. */
export type AuthPlan = (found: AuthFound) => readonly Operation[] | undefined;

/** What users and roles need of an engine. */
export type AuthEngine = Pick<Engine, "range" | "txn">;

const TURN = "auth";

export class AuthRecords {
  readonly #engine: AuthEngine;
  readonly #queue = new KeyedQueue();

  constructor(engine: AuthEngine) {
    this.#engine = engine;
  }

  /** All that is asked for, as it stood at one revision. */
  async read({ user, role, allUsers = false }: AuthQuestion): Promise<AuthFound> {
    const ranges: readonly KeyRange[] = [
      { key: AUTH_REVISION_KEY },
      role === undefined ? undefined : { key: authKey("role", role) },
      user === undefined ? undefined : { key: authKey("user", user) },
      allUsers ? authRange("user") : undefined,
    ].filter((range) => range !== undefined);
    const success = ranges.map((request): Operation => ({ kind: "range", request }));
    const { revision, results } = await this.#engine.txn({ compares: [], success, failure: [] });
    const kvs = results.flatMap(keyValues);
    const record = kvs.find(({ key }) => equalBytes(key, AUTH_REVISION_KEY));
    const users = kvs.filter(({ key }) => isAuthKey("user", key));
    const [roleRecord] = kvs.filter(({ key }) => isAuthKey("role", key));
    return {
      revision,
      authRevision: readAuthRevision(record),
      users: await inSlices((isOver) => byName(users, isOver)),
      role: roleRecord === undefined ? undefined : readRole(roleRecord),
      unchanged: {
        key: AUTH_REVISION_KEY,
        target: "modRevision",
        result: "equal",
        expected: record?.modRevision ?? 0,
      },
    };
  }

  /** The names of all users, or of all roles; in order of their bytes. */
  async names(kind: AuthKind): Promise<{ readonly revision: Revision; readonly names: readonly string[] }> {
    const { revision, kvs } = await this.#engine.range({ ...authRange(kind), keysOnly: true });
    return { revision, names: kvs.map(({ key }) => authName(kind, key)) };
  }

  /**
   * Reads, and does what the plan makes of it; where others were faster, again. The revision at which it is done.
   * Errors: the plan's; `contention`.
   */
  async change(question: AuthQuestion, plan: AuthPlan): Promise<Revision> {
    const isFree = !this.#queue.isBusy(TURN);
    const revision = isFree ? await this.#try(question, plan) : undefined;
    // The first try is free; whoever was overtaken queues up, so that none is overtaken for ever by this process.
    return revision ?? this.#queue.run(TURN, () => this.#persist(question, plan));
  }

  async #persist(question: AuthQuestion, plan: AuthPlan): Promise<Revision> {
    for (let attempt = 0; attempt < AUTH_WRITE_ATTEMPTS; attempt++) {
      const revision = await this.#try(question, plan);
      if (revision !== undefined) return revision;
    }
    throw new MusterError("contention", "Try again: others keep changing users and roles");
  }

  /** One try; undefined where somebody changed users or roles meanwhile. */
  async #try(question: AuthQuestion, plan: AuthPlan): Promise<Revision | undefined> {
    const found = await this.read(question);
    const changes = plan(found);
    if (changes === undefined) return found.revision;
    const { succeeded, revision } = await this.#engine.txn({
      compares: [found.unchanged],
      success: nested([putAuthRevision(found.authRevision + 1), ...changes]),
      failure: [],
    });
    return succeeded ? revision : undefined;
  }
}

/** In slices, as there may be very many. */
function* byName(
  records: readonly KeyValue[],
  isOver: () => boolean,
): Generator<void, ReadonlyMap<string, User>, void> {
  const users = new Map<string, User>();
  for (const record of records) {
    users.set(authName("user", record.key), readUser(record));
    if (isOver()) yield;
  }
  return users;
}

function keyValues(result: OperationResult): readonly KeyValue[] {
  return result.kind === "range" ? result.result.kvs : [];
}
