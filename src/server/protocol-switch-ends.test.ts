import { createServer } from "node:http";
import { connect, type Socket } from "node:net";
import { expect, it } from "vitest";
import { Http2Connection } from "../http2/connection.ts";
import { ProtocolSwitch } from "./protocol-switch.ts";

/** The preface of HTTP/2 and an empty SETTINGS frame. */
const HELLO = Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Buffer.of(0, 0, 0, 4, 0, 0, 0, 0, 0)]);

it("ProtocolSwitch: an HTTP/2 connection that its client ends is over, though HTTP/1.1's server would keep it", async () => {
  const http1 = createServer();
  const taken: Socket[] = [];
  const protocols = new ProtocolSwitch({
    http1: () => {},
    http2: (socket) => {
      taken.push(socket);
      new Http2Connection({ socket, onStream: () => {}, onError: () => {} });
    },
  });
  // What node:http does with its connections: a client that sends no more may still be answered.
  http1.removeAllListeners("connection").on("connection", (socket: Socket) => protocols.take(socket));
  await new Promise<void>((resolve) => http1.listen(0, "127.0.0.1", resolve));
  const address = http1.address();
  const client = connect(typeof address === "object" ? (address?.port ?? 0) : 0, "127.0.0.1");
  try {
    client.write(HELLO);
    await new Promise((resolve) => client.once("data", resolve));
    client.end();
    await expect.poll(() => taken.map(({ destroyed }) => destroyed)).toEqual([true]);
  } finally {
    client.destroy();
    for (const socket of taken) socket.destroy();
    await new Promise((resolve) => http1.close(resolve));
  }
});
