import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

import { restartablePorts } from "./ports.ts";

/** A way to a server on which connections can be cut and answers held back, as networks do. */
export class Link implements AsyncDisposable {
  readonly #server: Server;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #pairs = new Set<readonly [client: Socket, server: Socket]>();
  readonly #port: number;
  #isHolding = false;
  #leftBytes = Number.POSITIVE_INFINITY;

  private constructor(server: Server, target: string) {
    this.#server = server;
    const { hostname, port } = new URL(`http://${target}`);
    this.#target = { host: hostname, port: Number(port) };
    this.#port = portOf(server);
  }

  /** `target`: `host:port`. */
  static async open(target: string): Promise<Link> {
    const [port = 0] = await restartablePorts(1);
    const server = createServer().listen(port, "127.0.0.1");
    await once(server, "listening");
    const link = new Link(server, target);
    server.on("connection", (client) => link.#join(client));
    return link;
  }

  /** `host:port`. */
  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** What the server says is lost from now on; what it is told is not. */
  holdAnswers(): void {
    this.#isHolding = true;
  }

  /** New connections are whole again. */
  heal(): void {
    this.#isHolding = false;
    this.#leftBytes = Number.POSITIVE_INFINITY;
  }

  /** Ends all connections. */
  cut(): void {
    for (const [client, server] of this.#pairs) {
      client.destroy();
      server.destroy();
    }
  }

  /** Cuts when the server has said so many bytes more. */
  cutAfter(bytes: number): void {
    this.#leftBytes = bytes;
  }

  /** Takes new connections again. */
  async reopen(): Promise<void> {
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  /** Takes no new connection, and ends those that there are. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    this.cut();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #join(client: Socket): void {
    const server = connect(this.#target);
    const pair = [client, server] as const;
    this.#pairs.add(pair);
    const leave = () => {
      this.#pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    for (const socket of pair) {
      // However a connection ends, both halves of it do.
      socket.on("error", leave).on("close", leave);
    }
    client.pipe(server);
    server.on("data", (bytes) => this.#answer(client, server, bytes));
    client.on("drain", () => server.resume());
  }

  #answer(client: Socket, server: Socket, bytes: Buffer): void {
    if (this.#isHolding) return;
    const passed = bytes.subarray(0, this.#leftBytes);
    this.#leftBytes -= passed.length;
    if (!client.write(passed)) server.pause();
    if (this.#leftBytes <= 0) {
      this.#leftBytes = Number.POSITIVE_INFINITY;
      client.end();
      server.destroy();
    }
  }
}

function portOf(server: Server): number {
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === "string") {
    throw new Error("a TCP server has no port");
  }
  return address.port;
}
