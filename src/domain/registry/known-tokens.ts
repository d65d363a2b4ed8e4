/**
 * How tokens stood when this process last read or wrote them, so that a node can register without anybody reading. It
 * may be out of date at any moment: a registration that builds upon it has conditions that hold only where it is not.
 * Each one's record is guarded by its bytes, which are known before the write that puts them is done: so many nodes that
 * register at once share a sync of the disk. (Its revision is not known then, and its version could be another write's.)
 */
import { utf8 } from "../../base/bytes.ts";
import { type Clock, timeOver } from "../../base/clock.ts";
import { MAX_KNOWN_MEMBERS, MAX_KNOWN_TOKENS } from "../../base/limits.ts";
import { RecentMap } from "../../base/recent-map.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Compare, Revision } from "../../engine/model.ts";
import type { Foreseen, Foresight, TreeEvent } from "../tree/model.ts";
import { childPath } from "../tree/tree-path.ts";
import type { Origin } from "./origin.ts";
import { changeOf, type Lifetime, mustCount, type TokenWrite, type WrittenRecord } from "./registration.ts";
import { type TokenRecord, tokenRecordKey } from "./registry-layout.ts";
import { type RegistryPath, sizePath, type Token, tokenPath } from "./token.ts";
import { parseSize, readMemberIds, readTokenHead } from "./token-state.ts";

export interface KnownTokensOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly lifetime: () => Lifetime;
}

type Registration = Extract<RegistryPath, { readonly kind: "member" }>;

/** A token as it is believed to stand: with a size, a record, and time left. */
interface Known extends WrittenRecord {
  readonly size: number;
  /** Of the size's last change. */
  readonly sizeRevision: Revision;
  /** Members that are believed to be there; undefined where they are too many to keep. */
  readonly members: readonly string[] | undefined;
}

export class KnownTokens {
  readonly #options: KnownTokensOptions;
  readonly #tokens = new RecentMap<Token, Known>(MAX_KNOWN_TOKENS);

  constructor(options: KnownTokensOptions) {
    this.#options = options;
  }

  /** Keeps a token that was made at a revision. */
  learnMade(
    token: Token,
    made: { readonly size: number; readonly written: WrittenRecord; readonly revision: Revision },
  ): void {
    const { size, written, revision } = made;
    if (parseSize(String(size)) === undefined) return;
    const { record, recordValue } = written;
    this.#tokens.set(token, { size, sizeRevision: revision, record, recordValue, members: [] });
  }

  /** Forgets a token that is about to be written in a way that was not foreseen. */
  forget(token: Token): void {
    this.#tokens.delete(token);
  }

  /** What a registration of a member can build upon. */
  foresight(target: Registration, origin: Origin): Foresight {
    return {
      prepare: () => (this.#tokens.has(target.token) ? undefined : this.#prepare(target.token)),
      foresee: (planned) => this.#foresee(target, planned, origin),
    };
  }

  async #prepare(token: Token): Promise<void> {
    const { engine, clock } = this.#options;
    const head = await readTokenHead(engine, token, timeOver(clock));
    if (!head.exists) return;
    const { size, record, stored } = head;
    if (size === undefined || record === undefined || stored.record === undefined) return;
    const few = size <= MAX_KNOWN_MEMBERS && !record.complete;
    const members = few ? await (record.members === 0 ? [] : readMemberIds(engine, token)) : undefined;
    // Somebody else's look may have been first, and a registration may have built upon it.
    if (this.#tokens.has(token)) return;
    this.#tokens.set(token, {
      size,
      sizeRevision: stored.size.modRevision,
      record,
      recordValue: stored.record.value,
      members,
    });
  }

  #foresee(target: Registration, planned: TreeEvent, origin: Origin): Foreseen | undefined {
    const { token, id } = target;
    const known = this.#tokens.get(token);
    const lifetime = this.#options.lifetime();
    if (known === undefined || isOver(known.record, this.#options.clock)) return undefined;
    if (known.members?.includes(id) === true) return undefined;
    const facts = { token, size: known.size, record: known.record };
    const uncounted: TokenWrite = { state: facts, target, planned, origin, lifetime };
    const counts = mustCount(uncounted);
    // To say that a token is complete it is enough that those who are known are there.
    if (counts && (known.members === undefined || known.members.length + 1 < known.size)) return undefined;
    const { written, operations } = changeOf(counts ? { ...uncounted, members: known.members } : uncounted);
    if (written === undefined) return undefined;
    const { size, sizeRevision } = known;
    const { record, recordValue } = written;
    // Field by field, as thousands are kept: a spread makes a much larger object.
    this.#tokens.set(token, { size, sizeRevision, record, recordValue, members: membersAfter(known, record, id) });
    return {
      compares: [...unchanged(token, known), ...(counts ? stillThere(token, known) : [])],
      operations,
      settle: (revision) => {
        if (revision === undefined) this.forget(token);
      },
    };
  }
}

function isOver({ expires }: TokenRecord, clock: Clock): boolean {
  return expires !== undefined && expires <= timeOver(clock);
}

function membersAfter({ members }: Known, record: TokenRecord, registered: string): readonly string[] | undefined {
  const few = !record.complete && members !== undefined && members.length < MAX_KNOWN_MEMBERS;
  return few ? [...members, registered] : undefined;
}

/** Hold while the record says what the registration builds upon, and is about the same size. */
function unchanged(token: Token, { recordValue, sizeRevision }: Known): readonly Compare[] {
  return [
    { key: tokenRecordKey(token), target: "value", result: "equal", expected: recordValue },
    // It may go, or be put, without the record: by a time to live, or with all of the registry.
    { key: utf8(sizePath(token)), target: "modRevision", result: "equal", expected: sizeRevision },
  ];
}

function stillThere(token: Token, { members = [] }: Known): readonly Compare[] {
  return members.map((id) => ({
    key: utf8(childPath(tokenPath(token), id)),
    target: "version",
    result: "greater",
    expected: 0,
  }));
}
