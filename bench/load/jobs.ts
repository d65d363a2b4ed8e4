/** What the load generator's process is asked for, and what it answers. */
import * as z from "zod";

const post = z.object({
  method: z.enum(["GET", "PUT"]),
  /** A form body; absent: none. */
  body: z.string().optional(),
});

/** Which requests are sent, each connection taking the next one. */
const requests = z.discriminatedUnion("kind", [
  /** The same path again and again. */
  post.extend({ kind: z.literal("same"), path: z.string() }),
  /** Each of the paths once; then the job is over. */
  post.extend({ kind: z.literal("listed"), paths: z.array(z.string()) }),
  /** The prefix with a number of eight digits behind it: from 0 to `keys` - 1, then again from the beginning. */
  post.extend({ kind: z.literal("numbered"), prefix: z.string(), keys: z.number() }),
]);
export type Requests = Readonly<z.infer<typeof requests>>;

const httpJob = z.object({
  kind: z.literal("http"),
  url: z.string(),
  /** Kept alive, one request at a time on each. */
  connections: z.number(),
  requests,
  /** No request begins later than this; absent: none is kept back. */
  limitMs: z.number().optional(),
  /** No more requests than this. */
  count: z.number().optional(),
  /** Whether the answers' bodies are wanted. */
  keepBodies: z.boolean().optional(),
});
export type HttpJob = Readonly<z.infer<typeof httpJob>>;

/** Lets many wait, until a wake job follows. */
const waitJob = z.object({
  kind: z.literal("wait"),
  url: z.string(),
  waiters: z.number(),
  /** The long poll that each waiter sends. */
  waitPath: z.string(),
});
export type WaitJob = Readonly<z.infer<typeof waitJob>>;

/** Ends the waits of the wait job before it. */
const wakeJob = z.object({
  kind: z.literal("wake"),
  /** The write that ends them. */
  path: z.string(),
  body: z.string(),
});
export type WakeJob = Readonly<z.infer<typeof wakeJob>>;

const grpcJob = z.object({
  kind: z.literal("grpc"),
  url: z.string(),
  connections: z.number(),
  /** Spread evenly over the connections, one call at a time each. */
  clients: z.number(),
  call: z.discriminatedUnion("kind", [
    /** The prefix with a number of eight digits behind it: from 0 to `keys` - 1, then again from the beginning. */
    z.object({ kind: z.literal("put"), prefix: z.string(), keys: z.number(), valueBytes: z.number() }),
    /** The same key again and again; with `isPrefix`, all keys that begin with it. */
    z.object({ kind: z.literal("range"), key: z.string(), isPrefix: z.boolean().optional() }),
    /**
     * Transactions that make so many keys where the first of them is not there yet: the prefix with a number of eight
     * digits behind it and a place below that, a new number each.
     */
    z.object({ kind: z.literal("create"), prefix: z.string(), puts: z.number(), valueBytes: z.number() }),
  ]),
  /** No call begins later than this; absent: none is kept back. */
  limitMs: z.number().optional(),
  /** No more calls than this. */
  count: z.number().optional(),
});
export type GrpcJob = Readonly<z.infer<typeof grpcJob>>;

/** Lets many watch a key by gRPC, until an unwatch job. */
const watchJob = z.object({
  kind: z.literal("watch"),
  url: z.string(),
  key: z.string(),
  valueBytes: z.number(),
  /** Each with one stream. */
  connections: z.number(),
  /** Watches on each stream. */
  watchersEach: z.number(),
});
export type WatchJob = Readonly<z.infer<typeof watchJob>>;

/** Puts the key of the watch job before it. */
const tellJob = z.object({
  kind: z.literal("tell"),
  puts: z.number(),
  /** Whether the next put waits until everybody was told of the one before. */
  oneByOne: z.boolean(),
});
export type TellJob = Readonly<z.infer<typeof tellJob>>;

/** Ends the watches of the watch job before it. */
const unwatchJob = z.object({ kind: z.literal("unwatch") });

export const job = z.discriminatedUnion("kind", [httpJob, waitJob, wakeJob, grpcJob, watchJob, tellJob, unwatchJob]);
export type Job = z.infer<typeof job>;

export const httpResult = z.object({
  answers: z.number(),
  /** From the first request to the last answer, when all connections stood already. */
  elapsedMs: z.number(),
  /** Processor time that the load generator took meanwhile. */
  cpuMs: z.number(),
  bodies: z.array(z.string()),
});
export type HttpResult = Readonly<z.infer<typeof httpResult>>;

export const wakeResult = z.object({
  /** All from the sending of the write, in ms: until its own answer, and until the first and the last waiter had theirs. */
  writtenMs: z.number(),
  firstMs: z.number(),
  lastMs: z.number(),
});
export type WakeResult = Readonly<z.infer<typeof wakeResult>>;

export const grpcResult = httpResult.omit({ bodies: true });
export type GrpcResult = Readonly<z.infer<typeof grpcResult>>;

export const tellResult = z.object({
  /** From the first put until everybody was told of the last. */
  elapsedMs: z.number(),
  cpuMs: z.number(),
  events: z.number(),
  /** One by one: from the sending of each put until the last watcher was told of it, and until it was answered, in ms. */
  told: z.array(z.number()),
  answered: z.array(z.number()),
});
export type TellResult = Readonly<z.infer<typeof tellResult>>;

/** What the process sends back. */
export const reply = z.union([z.object({ result: z.unknown() }), z.object({ error: z.string() })]);
export type Reply = z.infer<typeof reply>;
