/** gRPC services on a port of their own in this process: no face, no guard, no limit beside those of gRPC itself. */
import { silentLog } from "../../src/base/log.ts";
import { GrpcServer } from "../../src/grpc/grpc-server.ts";
import type { Service } from "../../src/grpc/service.ts";
import { serveHttp2 } from "./http2-served.ts";

const MAX_MESSAGE_BYTES = 2 * 1024 * 1024;

export interface GrpcServed extends AsyncDisposable {
  /** `127.0.0.1:41234` */
  readonly address: string;
}

export async function serveGrpc(services: readonly Service[]): Promise<GrpcServed> {
  const grpc = new GrpcServer({ services, log: silentLog, maxMessageBytes: MAX_MESSAGE_BYTES });
  const served = await serveHttp2((stream) => {
    const { connection, fields } = stream;
    const peer = { address: "127.0.0.1", host: fields[":authority"], scheme: "http", connection } as const;
    grpc.handle(stream, { peerOf: () => peer });
  });
  return {
    address: served.address,
    [Symbol.asyncDispose]: async () => {
      grpc.stop();
      await served[Symbol.asyncDispose]();
    },
  };
}
