/** Muster as it is in src/, with its default settings. */
import { join } from "node:path";
import { restartablePorts } from "../../test/support/ports.ts";
import { MUSTER } from "../lib/project.ts";
import { type Server, startServer } from "./server.ts";

/** Serves the public listener from a data directory. */
export async function startMuster(directory: string): Promise<Server> {
  const [publicPort = 0, clientPort = 0] = await restartablePorts(2);
  const listen = ["--listen", `127.0.0.1:${publicPort}`, "--client-listen", `127.0.0.1:${clientPort}`];
  return startServer({
    command: process.execPath,
    parameters: [MUSTER, "serve", ...listen, "--data-dir", join(directory, "data")],
    url: `http://127.0.0.1:${publicPort}`,
    healthPath: "/health",
    logFile: join(directory, "log"),
  });
}
