import { once } from "node:events";
import { createServer } from "node:net";

/** Below the ports that Linux gives to outgoing connections (32768 and up), above those of well-known services. */
const LOWEST_PORT = 20_000;
const PORT_COUNT = 12_000;

/** Given out already; another of our servers may be about to listen there. */
const given = new Set<number>();

/**
 * TCP ports of 127.0.0.1 for servers that are stopped and started again on them. While such a server is down, a client
 * that keeps trying must not be given its port for an outgoing connection: it would meet itself there, and the server
 * could not come back. So these are none that the kernel gives out, which those of `freePorts` are.
 */
export async function restartablePorts(count: number): Promise<readonly number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = LOWEST_PORT + Math.floor(Math.random() * PORT_COUNT);
    if (!given.has(port)) {
      given.add(port);
      if (await isFree(port)) {
        ports.push(port);
      }
    }
  }
  return ports;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  server.listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}
