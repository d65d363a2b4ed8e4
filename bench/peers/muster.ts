/** Muster as it is in src/, with its default settings. */
import { join } from "node:path";
import { restartablePorts } from "../../test/support/ports.ts";
import { MUSTER } from "../lib/project.ts";
import { type Server, startServer } from "./server.ts";

export interface MusterOptions {
  /** Which of its two listeners is measured. Default: the public one. */
  readonly listener?: "public" | "client";
  /** Connections that it takes. Default: its own. */
  readonly maxConnections?: number;
  /** The options that name its store. Default: an embedded one in the directory. */
  readonly store?: readonly string[];
}

/** Serves from a data directory. */
export async function startMuster(directory: string, options: MusterOptions = {}): Promise<Server> {
  const [publicPort = 0, clientPort = 0] = await restartablePorts(2);
  const listen = ["--listen", `127.0.0.1:${publicPort}`, "--client-listen", `127.0.0.1:${clientPort}`];
  const { listener = "public", maxConnections, store = ["--data-dir", join(directory, "data")] } = options;
  const limit = maxConnections === undefined ? [] : ["--max-connections", String(maxConnections)];
  return startServer({
    command: process.execPath,
    parameters: [MUSTER, "serve", ...listen, ...limit, ...store],
    url: `http://127.0.0.1:${listener === "public" ? publicPort : clientPort}`,
    healthPath: "/health",
    logFile: join(directory, "log"),
  });
}
