/**
 * A v3 watch of a token's members. A node that waits goes on from the revision at which it read the list, for ever: told
 * that this is compacted, it asks at once for the same again. So where history is gone it is told of the members that
 * were put since, in order of revision, and from then on of what happens.
 */
import { text } from "../../base/bytes.ts";
import { isMusterError } from "../../base/errors.ts";
import type { Engine, Watch } from "../../engine/engine.ts";
import type { Event, KeyValue, Revision, WatchMessage, WatchRequest } from "../../engine/model.ts";
import type { Keyspace } from "../keyspace/keyspace.ts";
import { toldRevisions } from "./told-revisions.ts";
import { idOfStored, type V3Members, v3KeyOf } from "./v3-keys.ts";

export class MembersWatch implements Watch {
  readonly createdRevision: Promise<Revision>;
  readonly #engine: Engine;
  readonly #below: Keyspace;
  readonly #members: V3Members;
  readonly #request: WatchRequest;
  #live: Watch;
  /** Everything before it has been told. */
  #next: Revision = 0;
  #closed = false;
  /** A progress message that was asked for and has not been sent. */
  #owesProgress = false;

  /** `request` is for the members' stored range; `engine` has what the keyspace does not show. */
  constructor(store: { readonly engine: Engine; readonly below: Keyspace }, members: V3Members, request: WatchRequest) {
    const { engine, below } = store;
    this.#engine = engine;
    this.#below = below;
    this.#members = members;
    this.#request = { ...request, ...members.stored };
    this.#live = below.watch(this.#request);
    this.createdRevision = this.#live.createdRevision;
  }

  requestProgress(): void {
    this.#owesProgress = true;
    this.#live.requestProgress();
  }

  close(): void {
    this.#closed = true;
    this.#live.close();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<WatchMessage> {
    try {
      this.#next = this.#request.startRevision || (await this.createdRevision) + 1;
      while (!this.#closed) {
        try {
          yield* this.#tell();
          return;
        } catch (error) {
          if (!isMusterError(error, "compacted") || this.#closed) throw error;
        }
        const { revision, kvs } = await this.#below.range(this.#members.stored);
        if (this.#closed) return;
        yield* await this.#standing(kvs, this.#next);
        this.#next = revision + 1;
        this.#live = this.#below.watch({ ...this.#request, startRevision: this.#next });
        if (this.#owesProgress) this.#live.requestProgress();
      }
    } finally {
      this.close();
    }
  }

  async *#tell(): AsyncGenerator<WatchMessage> {
    for await (const message of this.#live) {
      if (message.kind === "progress") {
        this.#owesProgress = false;
        yield message;
        continue;
      }
      this.#next = message.revision + 1;
      const events = message.events.flatMap((event) => this.#shown(event));
      if (events.length > 0) yield { ...message, events };
    }
  }

  /** The members as they stand, as puts, but for those that have not been put from a revision on. */
  async #standing(kvs: readonly KeyValue[], from: Revision): Promise<readonly WatchMessage[]> {
    if (this.#request.noPut === true) return [];
    const since = kvs.filter(({ modRevision }) => modRevision >= from);
    const told = await Promise.all(since.map((kv) => this.#asTold(kv)));
    return told
      .filter(({ modRevision }) => modRevision >= from)
      .sort((a, b) => a.modRevision - b.modRevision)
      .flatMap((kv): readonly WatchMessage[] => {
        const events = this.#shown({ kind: "put", kv, prevKv: undefined });
        return events.length === 0 ? [] : [{ kind: "events", revision: kv.modRevision, events }];
      });
  }

  /** A member as nodes know it that were told of it before the store was moved. */
  async #asTold(kv: KeyValue): Promise<KeyValue> {
    const { token } = this.#members;
    const id = idOfStored(token, kv.key);
    if (id === undefined) return kv;
    const { first, last } = await toldRevisions(this.#engine, token, { id: text(id), kv });
    return { ...kv, createRevision: first, modRevision: last };
  }

  #shown(event: Event): readonly Event[] {
    const { token } = this.#members;
    if (idOfStored(token, event.kv.key) === undefined) return [];
    const key = v3KeyOf(token, event.kv.key);
    const prevKv = event.prevKv === undefined ? undefined : { ...event.prevKv, key };
    return [{ ...event, kv: { ...event.kv, key }, prevKv }];
  }
}
