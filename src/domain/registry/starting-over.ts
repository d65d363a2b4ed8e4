/**
 * Who may still register once a token has been complete: a node that begins its bootstrap over, because it, or Muster,
 * died before it could use the list. All others wait for it already, so a refusal would leave their cluster incomplete
 * for good. A member that got the list long ago and lost its data since is another matter: it would come back without
 * what it has voted for, and must be replaced instead; so whatever does not look like the former is refused.
 */
import type { Clock } from "../../base/clock.ts";
import { MAX_CONNECTION_TOKENS, MAX_TOLD_MEMBERS, START_OVER_MS, TOLD_GRACE_MS } from "../../base/limits.ts";
import type { Revision } from "../../engine/model.ts";
import type { Token } from "./token.ts";

/** When a token became complete. */
export interface Completion {
  readonly revision: Revision;
  /** In ms since 1970, by the clock of whoever wrote it. */
  readonly time: number;
}

/** What a connection did at a token. A node does all of its bootstrap on one, as long as nothing breaks that. */
interface Visit {
  readonly token: Token;
  hasRead: boolean;
  readonly members: Set<string>;
}

export class StartingOver {
  readonly #clock: Clock;
  /** Few for each connection, the latest last: a list is faster there than a Map, above all one that forgets. */
  readonly #visits = new WeakMap<object, Visit[]>();
  /** The newest revision that each member was shown, and when (monotonic, ms); the latest shown last. */
  readonly #shown = new Map<string, { readonly revision: Revision; readonly at: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Notes that the members of a token were shown on a connection, as they stood at a revision. */
  noteShown(connection: object, token: Token, revision: Revision): void {
    const visit = this.#visit(connection, token);
    visit.hasRead = true;
    for (const id of visit.members) {
      const name = memberName(token, id);
      this.#shown.delete(name);
      this.#shown.set(name, { revision, at: this.#clock.monotonic() });
    }
    while (this.#shown.size > MAX_TOLD_MEMBERS) forgetFirst(this.#shown);
  }

  /**
   * Notes that a member registers on a connection. Whether it does so as a node that begins: etcd 2.0 to 3.6 read the
   * token first, on the connection on which they then register, once (discovery.go: checkCluster, createSelf).
   */
  noteRegistration(connection: object, token: Token, id: string): boolean {
    const visit = this.#visit(connection, token);
    const begins = visit.hasRead && visit.members.size === 0;
    visit.members.add(id);
    return begins;
  }

  /** Whether a member that begins over may have died before it could use the complete list. */
  mayHaveMissed(token: Token, id: string, completion: Completion): boolean {
    if (this.#clock.now() - completion.time > START_OVER_MS) return false;
    const shown = this.#shown.get(memberName(token, id));
    if (shown === undefined || shown.revision < completion.revision) return true;
    return this.#clock.monotonic() - shown.at <= TOLD_GRACE_MS;
  }

  #visit(connection: object, token: Token): Visit {
    let visits = this.#visits.get(connection);
    if (visits === undefined) {
      visits = [];
      this.#visits.set(connection, visits);
    }
    const known = visits.find((visit) => visit.token === token);
    if (known !== undefined) return known;
    const visit: Visit = { token, hasRead: false, members: new Set() };
    visits.push(visit);
    if (visits.length > MAX_CONNECTION_TOKENS) visits.shift();
    return visit;
  }
}

function memberName(token: Token, id: string): string {
  return `${token}/${id}`;
}

function forgetFirst(map: Map<string, unknown>): void {
  const { value } = map.keys().next();
  if (value !== undefined) map.delete(value);
}
