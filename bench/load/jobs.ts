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

export const job = z.discriminatedUnion("kind", [httpJob, waitJob, wakeJob]);
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

/** What the process sends back. */
export const reply = z.union([z.object({ result: z.unknown() }), z.object({ error: z.string() })]);
export type Reply = z.infer<typeof reply>;
