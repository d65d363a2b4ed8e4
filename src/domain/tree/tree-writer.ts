/**
 * Writes to the tree: reads what stands at the path, works out what the command does to it, and commits that on the
 * condition that nothing it relied on has changed; else once more from the start.
 */
import { type Clock, timeOver } from "../../base/clock.ts";
import { isMusterError, MusterError } from "../../base/errors.ts";
import { KeyedQueue } from "../../base/keyed-queue.ts";
import { TREE_EXACT_NAME_ATTEMPTS, TREE_WRITE_ATTEMPTS } from "../../base/tree-limits.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Compare, Revision } from "../../engine/model.ts";
import { expireBelow } from "./expire-below.ts";
import { ForeseenWrites } from "./foreseen-writes.ts";
import type { Place } from "./in-turn.ts";
import { KnownDirectories } from "./known-directories.ts";
import type { Foresight, Rider, TreeEvent, TreePath, WriteCommand } from "./model.ts";
import { OwnEvents } from "./own-events.ts";
import { RepeatedWrites } from "./repeated-writes.ts";
import { comparesOf, fitOperations, operationsOf } from "./tree-changes.ts";
import { pathError, pathTooLong } from "./tree-errors.ts";
import { ACTION_KEY, keyInSpace, MAX_PATH_BYTES, type Space } from "./tree-layout.ts";
import { childPath, parentOf } from "./tree-path.ts";
import { eventOf, type Plan, type PlannedCommand, planWrite } from "./tree-plan.ts";
import { expiredFile, type Found, firstExpired, firstMissing, isEmpty, type Located, locate } from "./tree-read.ts";

/** In-order names have so many digits, like etcd 2.3's. */
const IN_ORDER_DIGITS = 20;

export interface TreeWriterOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  /**
   * Whether other processes write to the store as well. Then every write reads first: one that need not, and so takes
   * half the time, would leave theirs hardly a moment in which what they read still holds.
   */
  readonly isShared?: boolean;
  /** Told of each node that went because its time was over. */
  readonly onExpired: () => void;
  /** Told of what is written, where one event tells all of it. */
  readonly own?: OwnEvents;
}

/** What one attempt of a write knows of those before it. */
interface Attempt {
  readonly command: WriteCommand;
  readonly rider: Rider | undefined;
  readonly foresight?: Foresight | undefined;
  /** Where it has to come before it writes anything. */
  readonly place?: Place | undefined;
  /** The last in-order name tried, so that a name that somebody chose is not tried for ever. */
  lastGuess: Revision;
  guesses: number;
}

interface Prepared {
  readonly plan: Plan;
  readonly located: Located;
  readonly compares: readonly Compare[];
}

export class TreeWriter {
  readonly #options: Required<TreeWriterOptions>;
  readonly #queue = new KeyedQueue();
  readonly #foreseen: ForeseenWrites;
  readonly #repeated: RepeatedWrites | undefined;

  constructor(options: TreeWriterOptions) {
    const known = { own: new OwnEvents(), isShared: false, ...options, directories: new KnownDirectories() };
    this.#options = known;
    this.#foreseen = new ForeseenWrites(known);
    this.#repeated = known.isShared ? undefined : new RepeatedWrites(known);
  }

  /**
   * Applies a command and resolves with what it did. The first try is free; writers that others overtook then queue
   * up in order, and newcomers behind them, so that a hot key starves nobody of this process. What is foreseen need not
   * queue, as each such write builds upon those before it.
   */
  async write(command: WriteCommand, rider: Rider | undefined, foresight?: Foresight): Promise<TreeEvent> {
    refuseTooLong(command);
    refuseUncertainTime(command, this.#options.clock);
    const attempt: Attempt = { command, rider, foresight, lastGuess: 0, guesses: 0 };
    const trying = this.#tryForeseen(attempt);
    const foreseen = trying === undefined ? undefined : await trying;
    if (foreseen !== undefined) return foreseen;
    const key = rivalry(command, rider !== undefined);
    if (!this.#queue.isBusy(key)) {
      const event = (await this.#tryRepeated(attempt)) ?? (await this.#try(attempt));
      if (event !== undefined) return event;
    }
    return this.#queue.run(key, () => this.#persist(attempt));
  }

  /** Takes note of an event that the store tells of: what was known of a file before is no use any more. */
  noteEvent({ node, index }: TreeEvent): void {
    this.#repeated?.forgetBefore(node.path, index);
  }

  async #persist(attempt: Attempt): Promise<TreeEvent> {
    for (let tried = 0; tried < TREE_WRITE_ATTEMPTS; tried++) {
      const event =
        (await this.#tryForeseen(attempt)) ?? (await this.#tryRepeated(attempt)) ?? (await this.#try(attempt));
      if (event !== undefined) return event;
    }
    const { path } = attempt.command;
    throw new MusterError(
      "contention",
      `Try again: others keep changing what the write is about: ${JSON.stringify(path)}`,
    );
  }

  #tryForeseen({ command, foresight }: Attempt): Promise<TreeEvent | undefined> | undefined {
    if (foresight === undefined || command.kind !== "create" || command.content.kind !== "file") return undefined;
    return this.#foreseen.create(command, foresight);
  }

  /** A rider may rely on what the write found. */
  #tryRepeated({ command, rider }: Attempt): Promise<TreeEvent | undefined> | undefined {
    return rider === undefined ? this.#repeated?.try(command) : undefined;
  }

  /** One try; undefined where something that it relied on had changed, or what it read was forgotten under it. */
  async #try(attempt: Attempt): Promise<TreeEvent | undefined> {
    try {
      return await this.#tryOnce(attempt);
    } catch (error) {
      // Only reads of a past revision say so: nothing was written.
      if (isMusterError(error, "compacted")) return undefined;
      throw error;
    }
  }

  async #tryOnce(attempt: Attempt): Promise<TreeEvent | undefined> {
    const { engine, clock, own } = this.#options;
    const prepared = await this.#prepare(attempt);
    if (prepared === undefined) return undefined;
    const { plan, located, compares } = prepared;
    const ride = await attempt.rider?.(eventOf(plan, located.revision + 1));
    const now = clock.now();
    const operations = [...operationsOf(plan, located, now), ...(ride?.operations ?? [])];
    const conditions = [...compares, ...(ride?.compares ?? [])];
    const result = await engine.txn({
      compares: conditions,
      success: fitOperations(operations, conditions.length),
      failure: [],
    });
    if (!result.succeeded) return undefined;
    this.#repeated?.learn(plan, located, result.revision);
    const event = eventOf(plan, result.revision);
    if (plan.after.kind === "file") own.note(event, now, ride?.operations ?? []);
    return event;
  }

  /** Reads and plans; undefined where something had to make way first. */
  async #prepare(attempt: Attempt): Promise<Prepared | undefined> {
    const { engine } = this.#options;
    const { command } = attempt;
    const located = await this.#locate(command.path);
    await attempt.place?.come();
    if (located === undefined || (await this.#clearWay(command, located))) return undefined;
    try {
      if (command.kind === "createInOrder") return planInOrder(attempt, command, located);
      const plan = planWrite(command, located);
      if (await this.#mustBeEmptier(plan, located)) return undefined;
      return { plan, located, compares: comparesOf(plan, located) };
    } catch (error) {
      if (!isMusterError(error, "nodeNotFound")) throw error;
      throw pathError("nodeNotFound", await firstMissing(engine, located), located.revision);
    }
  }

  /** Reads a path; undefined where a file stood in the way whose time has come. */
  async #locate(path: TreePath): Promise<Located | undefined> {
    try {
      return await locate(this.#options.engine, path);
    } catch (error) {
      if (!isMusterError(error, "notDirectory")) throw error;
      const over = await expiredFile(this.#options, error);
      if (over === undefined) throw error;
      await this.expire(over.path, over.expires);
      return undefined;
    }
  }

  /** What is past its time goes by a revision of its own before anything else happens at its place. */
  async #clearWay(command: WriteCommand, located: Located): Promise<boolean> {
    const over = firstExpired(located, timeOver(this.#options.clock));
    if (over === undefined || (command.kind === "expire" && command.path === over.path)) return false;
    await this.expire(over.path, over.expires);
    return true;
  }

  /**
   * Lets a node go if it is still the one that was to go then; resolves with whether it was. With a `place` it writes
   * nothing before it has come to it, and leaves it when its write is handed in; the caller leaves it in any case.
   */
  async expire(path: TreePath, expires: number, place?: Place): Promise<boolean> {
    try {
      const rider: Rider = async ({ prevNode }) => {
        if (prevNode?.expires !== expires) throw pathError("nodeNotFound", path, 0);
        // The engine is given the write in the very next step of this task: whoever comes next is behind it.
        place?.leave();
        return { compares: [], operations: [] };
      };
      // Not through the queue: the write that it makes way for may hold its place there.
      await this.#persist({ command: { kind: "expire", path }, rider, place, lastGuess: 0, guesses: 0 });
      this.#options.onExpired();
      return true;
    } catch (error) {
      // Somebody else let it go, or gave it another time: then this entry of the index means nothing any more.
      if (isMusterError(error, "nodeNotFound") || isMusterError(error, "notDirectory")) return false;
      throw error;
    }
  }

  /** A directory that is to be deleted alone must be empty; what is past its time does not count. */
  async #mustBeEmptier(plan: Plan, located: Located): Promise<boolean> {
    const { before, after, recursive, path } = plan;
    if (after.kind !== "gone" || recursive || before?.kind !== "directory") return false;
    const { engine } = this.#options;
    if (await isEmpty(engine, path, located.revision)) return false;
    await expireBelow(
      { ...this.#options, expire: (below, expires, place) => this.expire(below, expires, place) },
      path,
    );
    return true;
  }
}

/** A time to live by a wrong clock would be over at once for others, or very late. */
function refuseUncertainTime(command: WriteCommand, { isUncertain = false }: Clock): void {
  if (!(isUncertain && "expiry" in command && command.expiry.kind === "at")) return;
  throw new MusterError(
    "storeUnavailable",
    "Try again, or through another Muster: the clock of this one has not been found to agree with its peers', so it gives no times to live",
  );
}

/** Before anything is read: a path has as many directories above it as it has names, and each costs several keys. */
function refuseTooLong({ kind, path }: WriteCommand): void {
  const written = kind === "createInOrder" ? childPath(path, "0".repeat(IN_ORDER_DIGITS)) : path;
  if (Buffer.byteLength(written) > MAX_PATH_BYTES) throw pathTooLong(written);
}

/** Writers with the same text get in each other's way: a rider mostly guards something that siblings share. */
function rivalry(command: WriteCommand, rides: boolean): string {
  if (command.kind === "createInOrder") return command.path;
  return rides && command.kind !== "expire" ? parentOf(command.path) : command.path;
}

function planInOrder(
  attempt: Attempt,
  command: Extract<WriteCommand, { kind: "createInOrder" }>,
  parent: Located,
): Prepared {
  const { path, content, expiry } = command;
  const guess = Math.max(parent.revision, attempt.lastGuess) + 1;
  attempt.lastGuess = guess;
  attempt.guesses++;
  const child = childPath(path, String(guess).padStart(IN_ORDER_DIGITS, "0"));
  const located = locateChild(parent, child);
  const create: PlannedCommand = { kind: "create", path: child, content, expiry };
  const plan = planWrite(create, located);
  return {
    plan,
    located,
    compares: [...comparesOf(plan, located), ...lastInOrder(path, child, parent.revision), ...exact(attempt)],
  };
}

/** A child of the directory that was read, itself not read: the write's conditions say that it is missing. */
function locateChild({ revision, target, ancestors }: Located, child: TreePath): Located {
  if (target.kind === "file") throw pathError("notDirectory", target.path, revision);
  const missing: Found = { kind: "missing", path: child };
  if (parentOf(child) === "/") return { revision, target: missing, ancestors };
  const record = target.kind === "directory" ? target.record : undefined;
  const expires = target.kind === "directory" ? target.expires : undefined;
  return { revision, target: missing, ancestors: [...ancestors, { path: target.path, record, expires }] };
}

/** The first few tries insist that no v2 write came between, so that the name is the node's createdIndex, as etcd's is. */
function exact({ guesses, lastGuess }: Attempt): readonly Compare[] {
  if (guesses > TREE_EXACT_NAME_ATTEMPTS) return [];
  return [{ key: ACTION_KEY, target: "modRevision", result: "less", expected: lastGuess }];
}

/**
 * Holds while nobody has made a name of digits from this one on since the directory was read: so names rise with the
 * order in which they were made, though several writers guess their revision at once.
 */
function lastInOrder(directory: TreePath, child: TreePath, revision: Revision): readonly Compare[] {
  return (["key", "directory"] satisfies readonly Space[]).map((space) => ({
    key: keyInSpace(space, child),
    end: keyInSpace(space, childPath(directory, "1")),
    target: "createRevision",
    result: "less",
    expected: revision + 1,
  }));
}
