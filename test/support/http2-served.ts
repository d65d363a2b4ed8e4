/** A port of its own in this process that speaks HTTP/2 by our own connections: no face, no guard, no limit beside theirs. */
import { once } from "node:events";
import { createServer } from "node:net";
import { Http2Connection } from "../../src/http2/connection.ts";
import type { ServerStream } from "../../src/http2/server-stream.ts";

export interface Http2Served extends AsyncDisposable {
  /** `127.0.0.1:41234` */
  readonly address: string;
}

/** Connections that end badly are none of the test's business: what its client sees of it is. */
export async function serveHttp2(onStream: (stream: ServerStream) => void): Promise<Http2Served> {
  const connections = new Set<Http2Connection>();
  const server = createServer({ noDelay: true }, (socket) => {
    const connection = new Http2Connection({ socket, onStream, onError: () => undefined });
    connections.add(connection);
    socket.once("close", () => connections.delete(connection));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const bound = server.address();
  return {
    address: `127.0.0.1:${typeof bound === "object" ? bound?.port : ""}`,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const connection of [...connections]) connection.destroy();
      await closed;
    },
  };
}
