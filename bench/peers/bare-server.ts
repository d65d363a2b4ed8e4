/** The least that node:http can do. */
import { join } from "node:path";
import { restartablePorts } from "../../test/support/ports.ts";
import { benchScript } from "../lib/project.ts";
import { type Server, startServer } from "./server.ts";

export interface FixedAnswer {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Gives the same answer to every request. */
export function startBareServer(answer: FixedAnswer, directory: string): Promise<Server> {
  return startBare({ directory, script: "peers/bare-server-main", parameters: [JSON.stringify(answer)] });
}

/** Lets every GET of a key wait for the next PUT, whichever it is of. */
export function startBareWaits(directory: string): Promise<Server> {
  return startBare({ directory, script: "peers/bare-waits-main", parameters: [] });
}

async function startBare(options: {
  readonly directory: string;
  readonly script: string;
  readonly parameters: readonly string[];
}): Promise<Server> {
  const [port = 0] = await restartablePorts(1);
  return startServer({
    command: process.execPath,
    parameters: [benchScript(options.script), String(port), ...options.parameters],
    url: `http://127.0.0.1:${port}`,
    healthPath: "/health",
    logFile: join(options.directory, "log"),
  });
}
