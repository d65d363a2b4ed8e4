/**
 * The least that a durable write can cost a server on node:http and LMDB: each request, whatever it says, puts one record
 * behind all others and is answered when that is synced. No history, no indices, no rules: what Muster does comes on top.
 */
import { join } from "node:path";
import { restartablePorts } from "../../test/support/ports.ts";
import { benchScript } from "../lib/project.ts";
import { type Server, startServer } from "./server.ts";

export async function startBareStore(directory: string): Promise<Server> {
  const [port = 0] = await restartablePorts(1);
  return startServer({
    command: process.execPath,
    parameters: [benchScript("peers/bare-store-main"), String(port), join(directory, "data")],
    url: `http://127.0.0.1:${port}`,
    healthPath: "/health",
    logFile: join(directory, "log"),
  });
}
