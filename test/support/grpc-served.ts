/** gRPC services on a port of their own in this process: no face, no guard, no limit beside those of gRPC itself. */
import { createServer, type ServerHttp2Session } from "node:http2";
import { silentLog } from "../../src/base/log.ts";
import { GrpcServer } from "../../src/grpc/grpc-server.ts";
import type { Service } from "../../src/grpc/service.ts";

const MAX_MESSAGE_BYTES = 2 * 1024 * 1024;

export interface GrpcServed extends AsyncDisposable {
  /** `127.0.0.1:41234` */
  readonly address: string;
}

export async function serveGrpc(services: readonly Service[]): Promise<GrpcServed> {
  const grpc = new GrpcServer({ services, log: silentLog, maxMessageBytes: MAX_MESSAGE_BYTES });
  const server = createServer();
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  server.on("stream", (stream, headers) => {
    const { session: connection = {} } = stream;
    const peer = { address: "127.0.0.1", host: headers[":authority"], scheme: "http", connection } as const;
    grpc.handle(stream, headers, { peerOf: () => peer });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  return {
    address: `127.0.0.1:${typeof bound === "object" ? bound?.port : ""}`,
    [Symbol.asyncDispose]: async () => {
      grpc.stop();
      for (const session of sessions) session.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
