/** Keeps a number of gRPC clients busy for a while, each with one call at a time. */
import { KVDefinition, PutRequest, RangeRequest } from "../../src/proto/etcdserverpb.ts";
import { type Answer, GrpcConnection, requestOf } from "./grpc-connection.ts";
import type { GrpcJob, GrpcResult } from "./jobs.ts";

const NUMBER_DIGITS = 8;
const NUMBER_PLACE = "#".repeat(NUMBER_DIGITS);

/** Runs the job; rejects at the first answer that is no success. */
export async function runGrpcLoad(job: GrpcJob): Promise<GrpcResult> {
  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<never>((_resolve, reject) => {
    fail = reject;
  });
  // It may come when nobody listens any more.
  failed.catch(() => undefined);
  const path = `/${KVDefinition.fullName}/${job.call.kind === "put" ? "Put" : "Range"}`;
  const connections = await Promise.all(
    Array.from({ length: job.connections }, () => GrpcConnection.open(job.url, path, fail)),
  );
  const next = source(job);
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

/** A put of `key`, as calls take it. */
export function putRequest(key: string, valueBytes: number): Buffer {
  const message = { key: Buffer.from(key), value: Buffer.alloc(valueBytes, "v") };
  return requestOf(PutRequest.encode(PutRequest.fromPartial(message)).finish());
}

/** The bytes of the next request; undefined when there are no more. They are used before the next one is made. */
function source({ call, count = Number.POSITIVE_INFINITY }: GrpcJob): () => Buffer | undefined {
  let sent = 0;
  if (call.kind === "range") {
    const request = requestOf(RangeRequest.encode(RangeRequest.fromPartial({ key: Buffer.from(call.key) })).finish());
    return () => (sent++ < count ? request : undefined);
  }
  const request = putRequest(call.prefix + NUMBER_PLACE, call.valueBytes);
  const place = request.indexOf(NUMBER_PLACE);
  return () => {
    if (sent >= count) return undefined;
    request.write(String(sent++ % call.keys).padStart(NUMBER_DIGITS, "0"), place, "latin1");
    return request;
  };
}
