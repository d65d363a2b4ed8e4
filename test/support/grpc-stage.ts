/** A GrpcServer on a port of its own, a client of it, and calls that no well-behaved client would make. */
import { once } from "node:events";
import { type ClientHttp2Session, connect, createServer, type ServerHttp2Session } from "node:http2";
import { setImmediate as nextTurn } from "node:timers/promises";
import { createLog } from "../../src/base/log.ts";
import { GrpcServer, type GrpcServerOptions } from "../../src/grpc/grpc-server.ts";
import type { Service } from "../../src/grpc/service.ts";
import { GrpcClient } from "./grpc-client.ts";

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
  const http2 = createServer();
  const sessions = new Set<ClientHttp2Session | ServerHttp2Session>();
  http2.on("session", (session) => void sessions.add(session));
  http2.on("stream", (stream, headers) => server.handle(stream, headers, { peerOf: () => peer }));
  await once(http2.listen(0, "127.0.0.1"), "listening");
  const address = http2.address();
  const target = `127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
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
      const closed = new Promise((resolve) => http2.close(resolve));
      // Whoever awaited an answer runs within node:http2's reading of it: a client's session that is destroyed there, with
      // much yet to be sent, corrupts the process's memory.
      await nextTurn();
      for (const one of sessions) one.destroy();
      await closed;
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
