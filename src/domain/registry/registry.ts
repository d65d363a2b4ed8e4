/**
 * Clusters that form. The registry stands before the tree: what is read, written or awaited below a token goes through
 * it, by whichever face and listener it came; anything else it hands on.
 */

import { equalBytes, utf8 } from "../../base/bytes.ts";
import { type Clock, timeOver } from "../../base/clock.ts";
import { isMusterError } from "../../base/errors.ts";
import { KeyedQueue } from "../../base/keyed-queue.ts";
import { type Log, shortToken } from "../../base/log.ts";
import { orRejected } from "../../base/or-rejected.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Revision } from "../../engine/model.ts";
import type { Keyspace } from "../keyspace/keyspace.ts";
import type {
  GetOptions,
  Rider,
  TreeEvent,
  TreePath,
  TreeReading,
  TreeStore,
  TreeWatch,
  TreeWatchRequest,
  WriteCommand,
} from "../tree/model.ts";
import type { StoreCounters } from "../tree/store-counters.ts";
import type { Tree } from "../tree/tree.ts";
import { pathError } from "../tree/tree-errors.ts";
import { watchEntry } from "./entry-watch.ts";
import { KnownTokens } from "./known-tokens.ts";
import { firstNode, watchMembers } from "./member-watch.ts";
import type { Origin } from "./origin.ts";
import { refuseWhatNodesNeverWrite } from "./public-scope.ts";
import { changeOf, isRegistration, issueToken, type Lifetime, mustCount } from "./registration.ts";
import { Standing } from "./standing.ts";
import { StartingOver } from "./starting-over.ts";
import { Telling, takesAllTokens } from "./telling.ts";
import { makeToken, type RegistryPath, readRegistryPath, sizePath, type Token, tokenPath } from "./token.ts";
import { TokenReadings } from "./token-readings.ts";
import { refuseUnusableSize } from "./token-size.ts";
import {
  completionOf,
  hasBeenComplete,
  type MissingToken,
  readMemberIds,
  readToken,
  readTokenHead,
  type TokenHead,
  type TokenState,
  unchangedToken,
} from "./token-state.ts";
import { TokenSweeper } from "./token-sweeper.ts";
import { UnknownTokens } from "./unknown-tokens.ts";
import { V3Keyspace, type V3Shared } from "./v3-keyspace.ts";
import { registerByPut, type V3Registration } from "./v3-register.ts";

export interface RegistryOptions {
  readonly engine: Engine;
  readonly tree: Tree;
  readonly clock: Clock;
  readonly log: Log;
  /** How long a token lives after its last registration, in ms; 0: for ever. */
  readonly tokenTtlMs: number;
  /** TOKEN_RANDOM_BYTES that nobody can guess. */
  readonly randomTokenBytes: () => Uint8Array;
  /** Counts what requests do; absent: nobody asks. */
  readonly counters?: StoreCounters;
}

export class Registry {
  readonly #options: RegistryOptions;
  readonly #sweeper: TokenSweeper;
  readonly #startingOver: StartingOver;
  readonly #known: KnownTokens;
  readonly #readings: TokenReadings;
  readonly #unknown: UnknownTokens;
  readonly #standing: Standing;
  readonly #v3: V3Shared;

  private constructor(options: RegistryOptions) {
    this.#options = options;
    this.#sweeper = new TokenSweeper(options);
    this.#startingOver = new StartingOver(options.clock);
    this.#known = new KnownTokens({ ...options, lifetime: () => this.#lifetime() });
    this.#readings = new TokenReadings(options);
    this.#standing = new Standing(options);
    this.#unknown = new UnknownTokens(options);
    const onWrite = (token: Token) => this.#known.forget(token);
    this.#v3 = { ...options, lifetime: () => this.#lifetime(), onWrite, queue: new KeyedQueue() };
  }

  /** Opens the registry on a tree and begins to sweep expired tokens. */
  static open(options: RegistryOptions): Registry {
    const registry = new Registry(options);
    registry.#sweeper.start();
    return registry;
  }

  /** Makes a token for a cluster of `size` members: one revision. */
  async createToken(size: number): Promise<{ readonly token: Token; readonly index: Revision }> {
    const lifetime = this.#lifetime();
    const token = makeToken(lifetime.now, this.#options.randomTokenBytes());
    const { written, operations } = issueToken(token, lifetime);
    const ride = { compares: [], operations };
    const event = await this.#options.tree.write(
      {
        kind: "create",
        path: sizePath(token),
        content: { kind: "file", value: utf8(String(size)) },
        expiry: { kind: "never" },
      },
      () => Promise.resolve(ride),
      { fresh: tokenPath(token), foresee: () => ({ ...ride, settle: () => {} }) },
    );
    this.#known.learnMade(token, { size, written, revision: event.index });
    if (this.#options.tokenTtlMs > 0) this.#sweeper.wakeBy(this.#options.clock.now() + this.#options.tokenTtlMs);
    this.#options.log.info({ token: shortToken(token), size }, "token made");
    return { token, index: event.index };
  }

  /** Whether there is such a token and its time is not over. */
  async exists(token: Token): Promise<boolean> {
    return (await readTokenHead(this.#options.engine, token, timeOver(this.#options.clock))).exists;
  }

  /** Tells the log that a node asked for a token of a name that none has. */
  tellUnknown(name: string, origin: Origin): void {
    this.#unknown.tell(name, origin);
  }

  /** The tree as a request of this origin sees it: with the registry's rules below tokens. */
  storeFor(origin: Origin): TreeStore {
    const store: TreeStore = {
      get: (path, options) => this.#get({ path, origin }, options),
      write: (command) => this.#write(command, origin),
      watch: (request) => this.#watch(request, origin),
    };
    return this.#options.counters?.counted(store) ?? store;
  }

  /** The keys of v3 clients as a request of this origin sees them: with a token's members where v3 looks for them. */
  keyspaceFor(origin: Origin, below: Keyspace): Keyspace {
    return new V3Keyspace(this.#v3, origin, below);
  }

  /** Registers a member as etcd's v3 discovery does. See v3-register.ts for the rules and errors. */
  register(registration: V3Registration, origin: Origin): Promise<Revision> {
    const target: InToken = { kind: "member", token: registration.token, id: registration.id };
    return registerByPut(registration, {
      ...this.#options,
      create: (command) => this.#write(command, origin),
      rider: this.#rider(target, origin),
      now: () => timeOver(this.#options.clock),
    });
  }

  /** Lets tokens go whose time is over; resolves with how many. The registry's own timer calls it too. */
  sweep(): Promise<number> {
    return this.#sweeper.sweep();
  }

  /** Stops sweeping. */
  async close(): Promise<void> {
    await this.#sweeper.close();
  }

  async #get(
    { path, origin }: { readonly path: TreePath; readonly origin: Origin },
    options: GetOptions,
  ): Promise<TreeReading> {
    const target = readRegistryPath(path);
    if (target.kind === "outside") return this.#options.tree.get(path, options);
    if (target.kind !== "token") return (await this.#readPath({ path, target, origin }, options)).reading;
    const reading = options.recursive
      ? (await this.#readPath({ path, target, origin }, options)).reading
      : ((await this.#readings.get(target.token)) ?? (await this.#readAndKeep({ path, target, origin }, options)));
    this.#startingOver.noteShown(origin.connection, target.token, reading.index);
    return reading;
  }

  async #readAndKeep(place: PlaceInToken, options: GetOptions): Promise<TreeReading> {
    const { reading, head } = await this.#readPath(place, options);
    return head.exists ? this.#readings.keep(reading, head) : reading;
  }

  async #readPath(
    { path, target, origin }: PlaceInToken,
    options: GetOptions,
  ): Promise<{ readonly reading: TreeReading; readonly head: TokenHead | MissingToken }> {
    const { engine, clock, tree } = this.#options;
    const [reading, head] = await Promise.all([
      tree.get(path, options).catch((error: unknown) => {
        const told = missingToken(error, target.token);
        if (origin.scope === "public" && isAbout(told, tokenPath(target.token))) this.tellUnknown(target.token, origin);
        throw told;
      }),
      readTokenHead(engine, target.token, timeOver(clock)),
    ]);
    if (!head.exists && origin.scope === "public") {
      this.tellUnknown(target.token, origin);
      throw pathError("nodeNotFound", tokenPath(target.token), reading.index);
    }
    return { reading, head };
  }

  #write(command: WriteCommand, origin: Origin): Promise<TreeEvent> {
    return orRejected(() => {
      const target = readRegistryPath(command.path);
      if (origin.scope === "client") refuseUnusableSize(command);
      if (target.kind === "outside") return this.#writeOutside(command, origin);
      if (origin.scope === "public") refuseWhatNodesNeverWrite(command, target);
      return this.#writeInside(command, target, origin);
    });
  }

  async #writeInside(command: WriteCommand, target: InToken, origin: Origin): Promise<TreeEvent> {
    const begins =
      target.kind === "member" && this.#startingOver.noteRegistration(origin.connection, target.token, target.id);
    try {
      const foresight =
        target.kind === "member" && isRegistration(command) ? this.#known.foresight(target, origin) : undefined;
      const event = await this.#options.tree.write(command, this.#rider(target, origin), foresight);
      new Telling(this.#options.log, origin).event(event, target);
      return event;
    } catch (error) {
      const repeated = isMusterError(error, "nodeExists") ? await this.#repeated(command, target, begins) : undefined;
      if (repeated === undefined) throw error;
      new Telling(this.#options.log, origin).repeated(target);
      return repeated;
    }
  }

  #writeOutside(command: WriteCommand, origin: Origin): Promise<TreeEvent> {
    const { tree, log } = this.#options;
    const written = tree.write(command);
    if (!takesAllTokens(command)) return written;
    return written.then((event) => {
      new Telling(log, origin).allDeleted();
      return event;
    });
  }

  /** Public writes need a token; an operator's write to a token that is none yet makes it by hand. */
  #rider(target: InToken, origin: Origin): Rider {
    return async (planned) => {
      const { engine } = this.#options;
      this.#known.forget(target.token);
      const state = await readTokenHead(engine, target.token, timeOver(this.#options.clock));
      if (!state.exists) {
        if (origin.scope === "public") throw pathError("nodeNotFound", tokenPath(target.token), state.revision);
        return { compares: unchangedToken(state), operations: [] };
      }
      // An in-order key is written below the path that it was asked for.
      const written = readRegistryPath(planned.node.path);
      const write = { state, target: written, planned, origin, lifetime: this.#lifetime() };
      const members = mustCount(write) ? await readMemberIds(engine, target.token) : undefined;
      const { operations } = changeOf({ ...write, members });
      return { compares: unchangedToken(state), operations };
    };
  }

  /**
   * The answer to a registration that was made before, if it may be repeated: until the token has been complete no etcd
   * can have started, so whoever creates its entry again has lost the answer; after that only a node that begins over.
   */
  async #repeated(command: WriteCommand, target: InToken, begins: boolean): Promise<TreeEvent | undefined> {
    if (target.kind !== "member" || !isRegistration(command)) return undefined;
    const state = await this.#read(target.token);
    if (!state.exists) return undefined;
    if (hasBeenComplete(state) && !(begins && (await this.#mayHaveMissed(state, target.id)))) return undefined;
    const { revision, kvs } = await this.#options.engine.range({ key: utf8(command.path) });
    const [kv] = kvs;
    // An entry that was made since is another's answer.
    if (kv === undefined || kv.createRevision > state.revision) return undefined;
    if (!equalBytes(kv.value, command.content.value)) return undefined;
    return { action: "create", node: firstNode(command.path, kv), index: revision };
  }

  async #mayHaveMissed(state: TokenState, id: string): Promise<boolean> {
    const completion = await completionOf(this.#options.engine, state);
    return completion !== undefined && this.#startingOver.mayHaveMissed(state.token, id, completion);
  }

  async #watch(request: TreeWatchRequest, origin: Origin): Promise<TreeWatch> {
    const target = readRegistryPath(request.path);
    const { engine, tree } = this.#options;
    if (target.kind === "outside") return tree.watch(request);
    const head = await readTokenHead(engine, target.token, timeOver(this.#options.clock));
    if (!head.exists) {
      if (origin.scope === "public") throw pathError("nodeNotFound", tokenPath(target.token), head.revision);
      return tree.watch(request);
    }
    const context = { engine, tree, token: target.token, standing: this.#standing };
    if (target.kind !== "token" || !request.recursive) return watchEntry(context, request);
    const onTold = (revision: Revision) => this.#startingOver.noteShown(origin.connection, target.token, revision);
    return watchMembers({ ...context, onTold }, request);
  }

  #read(token: Token): Promise<TokenState | MissingToken> {
    return readToken(this.#options.engine, token, timeOver(this.#options.clock));
  }

  #lifetime(): Lifetime {
    return { now: this.#options.clock.now(), tokenTtlMs: this.#options.tokenTtlMs };
  }
}

type InToken = Exclude<RegistryPath, { readonly kind: "outside" }>;

/** What a request reads at or below a token. */
interface PlaceInToken {
  readonly path: TreePath;
  readonly target: InToken;
  readonly origin: Origin;
}

/** Where not even the registry's root is there yet, the token is what is missing: nodes and people know of nothing above. */
function missingToken(error: unknown, token: Token): unknown {
  if (!isMusterError(error, "nodeNotFound")) return error;
  const { path, index } = error.details;
  const above = typeof path === "string" && tokenPath(token).startsWith(`${path}/`);
  return above ? pathError("nodeNotFound", tokenPath(token), Number(index)) : error;
}

function isAbout(error: unknown, path: TreePath): boolean {
  return isMusterError(error, "nodeNotFound") && error.details.path === path;
}
