/** A GrpcServer on a port of its own, a client of it, and calls that no well-behaved client would make. */
import { once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import { setImmediate as nextTurn } from "node:timers/promises";
import { createLog } from "../../src/base/log.ts";
import { GrpcServer, type GrpcServerOptions } from "../../src/grpc/grpc-server.ts";
import type { Service } from "../../src/grpc/service.ts";
import { GrpcClient } from "./grpc-client.ts";
import { serveHttp2 } from "./http2-served.ts";

export const STAGE_MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

export interface GrpcStage extends AsyncDisposable {
  /** `host:port` */
  readonly target: string;
  readonly server: GrpcServer;
  readonly client: GrpcClient;
  /** What the server has logged. */
  log(): string;
  /** A connection of node:http2, which the stage closes. */
  session(): ClientHttp2Session;
  /** How a request of these bytes ends: headers and trailers together. */
  call(chunks: readonly Uint8Array[], headers?: Readonly<Record<string, string>>): Promise<Record<string, unknown>>;
}

/** The headers of a call of `path`, as node:http2 takes them. */
export function callHeaders(path: string): Record<string, string> {
  return { ":method": "POST", ":path": path, "content-type": "application/grpc" };
}

export async function startGrpcStage(
  services: readonly Service[],
  options: Partial<GrpcServerOptions> = {},
): Promise<GrpcStage> {
  const lines: string[] = [];
  const log = createLog({ level: "info", format: "json", destination: { write: (line: string) => lines.push(line) } });
  const server = new GrpcServer({ services, maxMessageBytes: STAGE_MAX_MESSAGE_BYTES, log, ...options });
  const peer = { address: "127.0.0.1", host: undefined, scheme: "http", connection: server } as const;
  const served = await serveHttp2((stream) => server.handle(stream, { peerOf: () => peer }));
  const target = served.address;
  const sessions = new Set<ClientHttp2Session>();
  const client = new GrpcClient(target);
  const session = () => {
    const opened = connect(`http://${target}`);
    sessions.add(opened);
    return opened;
  };
  return {
    target,
    server,
    client,
    log: () => lines.join(""),
    session,
    call: (chunks, headers = {}) => rawCall(session(), chunks, headers),
    [Symbol.asyncDispose]: async () => {
      client[Symbol.dispose]();
      server.stop();
      // Whoever awaited an answer runs within node:http2's reading of it: a client's session that is destroyed there, with
      // much yet to be sent, corrupts the process's memory.
      await nextTurn();
      for (const one of sessions) one.destroy();
      await served[Symbol.asyncDispose]();
    },
  };
}

async function rawCall(
  session: ClientHttp2Session,
  chunks: readonly Uint8Array[],
  headers: Readonly<Record<string, string>>,
): Promise<Record<string, unknown>> {
  const sent = { ...callHeaders("/etcdserverpb.KV/Put"), ...headers };
  const stream = session.request(sent, { endStream: chunks.length === 0 });
  const told: Record<string, unknown> = {};
  stream.on("response", (given) => Object.assign(told, given)).on("trailers", (given) => Object.assign(told, given));
  const over = once(stream, "close");
  stream.resume();
  for (const chunk of chunks) stream.write(chunk);
  stream.end();
  await over;
  return told;
}
