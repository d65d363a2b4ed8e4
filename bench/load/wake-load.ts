/** Lets many wait and measures how long it takes from the write that ends their waits until the last of them knows. */
import { Connection, requestText } from "./connection.ts";
import type { WakeJob, WakeResult } from "./jobs.ts";

/** What every waiter must be told; etcd says `set` or `create`. */
const NEWS = /"action":"(create|set)"/;

/** Connections that are opened at a time: more would overrun the server's queue of new ones. */
const OPENED_AT_ONCE = 100;

export async function runWakeLoad(job: WakeJob): Promise<WakeResult> {
  const connections: Connection[] = [];
  try {
    return await new Promise<WakeResult>((resolve, reject) => {
      void measure(job, { connections, reject }).then(resolve, reject);
    });
  } finally {
    for (const connection of connections) connection.close();
  }
}

interface Run {
  readonly connections: Connection[];
  readonly reject: (error: Error) => void;
}

async function measure(job: WakeJob, { connections, reject }: Run): Promise<WakeResult> {
  const { url, waiters, waitPath, path, body } = job;
  while (connections.length < waiters + 1) {
    const missing = Math.min(OPENED_AT_ONCE, waiters + 1 - connections.length);
    connections.push(...(await Promise.all(Array.from({ length: missing }, () => Connection.open(url, reject)))));
  }
  const [writer, ...waiting] = connections;
  if (writer === undefined) throw new Error("open at least one connection");
  const { host } = new URL(url);
  const wait = requestText(host, { method: "GET", path: waitPath });
  const write = requestText(host, { method: "PUT", path, body });
  const told: number[] = [];
  let allTold: () => void = () => undefined;
  const everybody = new Promise<void>((resolve) => {
    allTold = resolve;
  });
  await Promise.all(
    waiting.map(
      (connection) =>
        new Promise<void>((stands) => {
          connection.wait(wait, {
            onHead: stands,
            onAnswer: (answer) => {
              told.push(performance.now());
              if (!NEWS.test(answer.body)) reject(new Error(`a waiter was told ${answer.status} ${answer.body}`));
              if (told.length === waiters) allTold();
            },
          });
        }),
    ),
  );
  if (told.length > 0) throw new Error("a wait must not end before the write");
  const begun = performance.now();
  const written = new Promise<number>((resolve) => {
    writer.send(write, ({ status, body: answer }) => {
      if (status >= 300) reject(new Error(`the write was answered ${status} ${answer}`));
      resolve(performance.now() - begun);
    });
  });
  await everybody;
  return { writtenMs: await written, firstMs: (told[0] ?? 0) - begun, lastMs: (told.at(-1) ?? 0) - begun };
}
