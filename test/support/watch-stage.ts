/** Plays watches on a server and writes down what it answers, so that servers can be compared: revisions count from the start. */
import type { ClientDuplexStream } from "@grpc/grpc-js";
import { z } from "zod";
import { until } from "./until.ts";
import { V3Client } from "./v3-client.ts";

const ANSWER_WAIT_MS = 30_000;
/** The ID of the watch that shows that everything before it has come. */
const FENCE_ID = 999;

const keyValue = z.object({
  key: z.instanceof(Buffer),
  value: z.instanceof(Buffer),
  create_revision: z.coerce.number(),
  mod_revision: z.coerce.number(),
  version: z.coerce.number(),
  lease: z.string(),
});

const watchResponse = z.object({
  header: z.object({
    cluster_id: z.string(),
    member_id: z.string(),
    revision: z.coerce.number(),
    raft_term: z.coerce.number(),
  }),
  watch_id: z.coerce.number(),
  created: z.boolean(),
  canceled: z.boolean(),
  compact_revision: z.coerce.number(),
  cancel_reason: z.string(),
  fragment: z.boolean(),
  events: z.array(z.object({ type: z.string(), kv: keyValue, prev_kv: keyValue.nullable() })),
});

type Response = z.infer<typeof watchResponse>;

/** A response with what is the default left out, and revisions as they count from the stage's start. */
export type Shown = Readonly<Record<string, unknown>>;

export class WatchStage implements Disposable {
  readonly client: V3Client;
  readonly #base: number;
  readonly #streams: WatchStream[] = [];

  private constructor(client: V3Client, base: number) {
    this.client = client;
    this.#base = base;
  }

  static async start(address: string): Promise<WatchStage> {
    const client = new V3Client(address);
    return new WatchStage(client, await revisionOf(client));
  }

  /** The revision that is `offset` after the one at the start. */
  at(offset: number): number {
    return this.#base + offset;
  }

  async put(key: string, value = "v", more: object = {}): Promise<void> {
    await this.#do("KV/Put", { key: Buffer.from(key), value: Buffer.from(value), ...more });
  }

  async del(key: string, end?: string): Promise<void> {
    const range = end === undefined ? {} : { range_end: Buffer.from(end) };
    await this.#do("KV/DeleteRange", { key: Buffer.from(key), ...range });
  }

  async txn(...operations: readonly object[]): Promise<void> {
    await this.#do("KV/Txn", { success: operations });
  }

  async compact(offset: number): Promise<void> {
    await this.#do("KV/Compact", { revision: this.at(offset), physical: true });
  }

  async lease(path: string, request: object): Promise<void> {
    await this.#do(`Lease/${path}`, request);
  }

  /** A stream of watches of which one tells when everything before it has come. */
  async open(): Promise<WatchStream> {
    const stream = new WatchStream(this.client.duplex("Watch/Watch"), (revision) => this.#relative(revision));
    this.#streams.push(stream);
    await stream.fence(() => this.put("~fence"));
    return stream;
  }

  [Symbol.dispose](): void {
    for (const stream of this.#streams) stream.end();
    this.client[Symbol.dispose]();
  }

  #relative(revision: number): number | string {
    return revision <= 0 ? `none: ${revision}` : revision - this.#base;
  }

  async #do(path: string, request: object): Promise<void> {
    const outcome = await this.client.call(path, request);
    if (!outcome.ok) throw new Error(`${path}: ${outcome.code} ${outcome.details}`);
  }
}

export class WatchStream {
  readonly #stream: ClientDuplexStream<object, object>;
  readonly #relative: (revision: number) => number | string;
  readonly #come: Response[] = [];
  #taken = 0;
  #hasFence = false;

  constructor(stream: ClientDuplexStream<object, object>, relative: (revision: number) => number | string) {
    this.#stream = stream;
    this.#relative = relative;
    stream.on("data", (data: unknown) => this.#come.push(watchResponse.parse(data)));
    // Ended by ourselves; a server that ends it is found out by what does not come.
    stream.on("error", () => {});
  }

  create(request: { readonly key?: string; readonly range_end?: string; readonly [field: string]: unknown }): void {
    const { key = "", range_end = "", ...more } = request;
    this.send({ create_request: { key: Buffer.from(key), range_end: Buffer.from(range_end), ...more } });
  }

  send(request: object): void {
    this.#stream.write(request);
  }

  /** Sends no more requests. */
  halfClose(): void {
    this.#stream.end();
  }

  end(): void {
    this.#stream.cancel();
  }

  /** Waits for the next responses. Those of different watches have no order, so they are sorted by watch. */
  async take(count: number): Promise<readonly Shown[]> {
    const end = this.#taken + count;
    await this.#whenCome(end);
    return this.#shown(end);
  }

  /** What comes until all that was done before is told. `touch` puts the key `~fence`. */
  async fence(touch: () => Promise<void>): Promise<readonly Shown[]> {
    if (!this.#hasFence) {
      this.#hasFence = true;
      this.create({ key: "~fence", watch_id: FENCE_ID });
      await this.#whenCome(1);
      this.#come.pop();
    }
    await touch();
    const isFence = ({ watch_id, events }: Response) => watch_id === FENCE_ID && events.length > 0;
    const found = async () => (this.#come.slice(this.#taken).some(isFence) ? true : undefined);
    await until(found, { timeoutMs: ANSWER_WAIT_MS, what: "the fence" });
    const place = this.#come.findIndex((response, at) => at >= this.#taken && isFence(response));
    this.#come.splice(place, 1);
    return this.#shown(place);
  }

  /** All events of so many that are to come, however they are batched. */
  async events(count: number): Promise<readonly unknown[]> {
    const shown: unknown[] = [];
    while (shown.length < count) {
      await this.#whenCome(this.#taken + 1);
      const response = this.#come[this.#taken++];
      for (const event of response?.events ?? []) shown.push(this.#event(event));
    }
    return shown;
  }

  async #whenCome(count: number): Promise<void> {
    const found = async () => (this.#come.length >= count ? true : undefined);
    try {
      await until(found, { timeoutMs: ANSWER_WAIT_MS, what: `${count} responses` });
    } catch (cause) {
      throw new Error(`came: ${JSON.stringify(this.#come.map((response) => this.#show(response)))}`, { cause });
    }
  }

  #shown(end: number): readonly Shown[] {
    const part = this.#come.slice(this.#taken, end).sort((a, b) => a.watch_id - b.watch_id);
    this.#taken = end;
    return part.map((response) => this.#show(response));
  }

  #show({ header, events, compact_revision, ...rest }: Response): Shown {
    if (header.cluster_id === "0" || header.member_id === "0" || header.raft_term === 0) {
      throw new Error(`header without its IDs: ${JSON.stringify(header)}`);
    }
    const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== false && value !== ""));
    return {
      ...given,
      revision: this.#relative(header.revision),
      ...(compact_revision === 0 ? {} : { compact_revision: this.#relative(compact_revision) }),
      ...(events.length === 0 ? {} : { events: events.map((event) => this.#event(event)) }),
    };
  }

  #event({ type, kv, prev_kv }: Response["events"][number]): string {
    const before = prev_kv === null ? "" : ` before: ${this.#keyValue(prev_kv)}`;
    return `${type} ${this.#keyValue(kv)}${before}`;
  }

  #keyValue({ key, value, create_revision, mod_revision, version, lease }: z.infer<typeof keyValue>): string {
    const shown = value.length > 100 ? `${value.length} bytes` : value.toString();
    const create = create_revision === 0 ? "none" : this.#relative(create_revision);
    return `${key}=${shown} ${create}/${this.#relative(mod_revision)}/${version} lease ${lease}`;
  }
}

async function revisionOf(client: V3Client): Promise<number> {
  const outcome = await client.call("KV/Range", { key: Buffer.from("~fence") });
  const answer = z.object({ header: z.object({ revision: z.coerce.number() }) });
  return answer.parse(outcome.answers[0]).header.revision;
}
