/** A load balancer as operators have it: TCP, of those only whose /health is well, and none of the others' connections. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { Target } from "./target.ts";

const LOOK_EVERY_MS = 1000;
const LOOK_TIMEOUT_MS = 2000;

export class Balancer implements AsyncDisposable {
  /** Where nodes that boot go. */
  readonly url: string;
  readonly #server: Server;
  readonly #targets: readonly Target[];
  readonly #connections = new Map<Target, Set<Socket>>();
  readonly #timer: NodeJS.Timeout;
  #next = 0;

  private constructor(server: Server, port: number, targets: readonly Target[]) {
    this.url = `http://127.0.0.1:${port}`;
    this.#server = server;
    this.#targets = targets;
    for (const target of targets) this.#connections.set(target, new Set());
    server.on("connection", (socket) => this.#carry(socket));
    this.#timer = setInterval(() => void Promise.all(targets.map((target) => this.#look(target))), LOOK_EVERY_MS);
  }

  static async start(targets: readonly Target[]): Promise<Balancer> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new Balancer(server, portOf(server.address()), targets);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#server.close();
    for (const target of this.#targets) this.#drop(target);
    await once(this.#server, "close");
  }

  /** Those that are well, in turns. */
  #choose(): Target | undefined {
    const well = [...this.#connections.keys()];
    this.#next += 1;
    return well[this.#next % well.length];
  }

  #carry(socket: Socket): void {
    const target = this.#choose();
    const connections = target === undefined ? undefined : this.#connections.get(target);
    if (target === undefined || connections === undefined) {
      socket.destroy();
      return;
    }
    const { hostname, port } = new URL(target.publicUrl);
    const beyond = connect(Number(port), hostname);
    connections.add(socket);
    const end = (): void => {
      connections.delete(socket);
      socket.destroy();
      beyond.destroy();
    };
    for (const each of [socket, beyond]) each.on("error", end).on("close", end);
    socket.pipe(beyond);
    beyond.pipe(socket);
  }

  async #look(target: Target): Promise<void> {
    let isWell = false;
    try {
      const answer = await fetch(`${target.publicUrl}/health`, { signal: AbortSignal.timeout(LOOK_TIMEOUT_MS) });
      await answer.body?.cancel();
      isWell = answer.ok;
    } catch {
      // Dead, stopped or cut off.
    }
    if (!isWell) this.#drop(target);
    else if (!this.#connections.has(target)) this.#connections.set(target, new Set());
  }

  #drop(target: Target): void {
    const connections = this.#connections.get(target) ?? [];
    this.#connections.delete(target);
    for (const socket of connections) socket.destroy();
  }
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === "string") throw new Error("a TCP server has no port");
  return address.port;
}
