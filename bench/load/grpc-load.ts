/** Keeps a number of gRPC clients busy for a while, each with one call at a time. */
import { KVDefinition } from "../../src/proto/etcdserverpb.ts";
import { type Answer, GrpcConnection } from "./grpc-connection.ts";
import { requestsOf } from "./grpc-requests.ts";
import type { GrpcJob, GrpcResult } from "./jobs.ts";

/** Which method each kind of call is one of. */
const METHODS = { put: "Put", range: "Range", create: "Txn" } as const satisfies Record<
  GrpcJob["call"]["kind"],
  string
>;

/** Runs the job; rejects at the first answer that is no success. */
export async function runGrpcLoad(job: GrpcJob): Promise<GrpcResult> {
  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<never>((_resolve, reject) => {
    fail = reject;
  });
  // It may come when nobody listens any more.
  failed.catch(() => undefined);
  const path = `/${KVDefinition.fullName}/${METHODS[job.call.kind]}`;
  const connections = await Promise.all(
    Array.from({ length: job.connections }, () => GrpcConnection.open(job.url, path, fail)),
  );
  const next = requestsOf(job);
  let answers = 0;
  const cpuBefore = process.cpuUsage();
  const begun = performance.now();
  const over = begun + (job.limitMs ?? Number.POSITIVE_INFINITY);
  const drive = (connection: GrpcConnection | undefined) =>
    new Promise<void>((resolve) => {
      const go = () => {
        const request = performance.now() < over ? next() : undefined;
        if (request === undefined) resolve();
        else connection?.callOnce(request, answer);
      };
      const answer = new UnaryAnswer({
        onAnswer: () => {
          answers++;
          go();
        },
        onFailure: () => fail(new Error(`${job.url} answered ${path} with an error`)),
      });
      go();
    });
  try {
    const clients = Array.from({ length: job.clients }, (_, client) => drive(connections[client % job.connections]));
    await Promise.race([Promise.all(clients), failed]);
    const elapsedMs = performance.now() - begun;
    const { user, system } = process.cpuUsage(cpuBefore);
    return { answers, elapsedMs, cpuMs: (user + system) / 1000 };
  } finally {
    for (const connection of connections) connection.close();
  }
}

/** The answer to one call after another. An error of a server has a status and no message: that tells it. */
export class UnaryAnswer implements Answer {
  readonly #told: { readonly onAnswer: () => void; readonly onFailure: () => void };
  #hasMessage = false;

  constructor(told: { readonly onAnswer: () => void; readonly onFailure: () => void }) {
    this.#told = told;
  }

  onData(bytes: Buffer): void {
    this.#hasMessage ||= bytes.length > 0;
  }

  onEnd(): void {
    const { onAnswer, onFailure } = this.#told;
    const isAnswered = this.#hasMessage;
    this.#hasMessage = false;
    if (isAnswered) onAnswer();
    else onFailure();
  }
}
