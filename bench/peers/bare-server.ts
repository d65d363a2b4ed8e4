/** The least that node:http can do: the same answer to every request. */
import { join } from "node:path";
import { restartablePorts } from "../../test/support/ports.ts";
import { benchScript } from "../lib/project.ts";
import { type Server, startServer } from "./server.ts";

export interface FixedAnswer {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export async function startBareServer(answer: FixedAnswer, directory: string): Promise<Server> {
  const [port = 0] = await restartablePorts(1);
  return startServer({
    command: process.execPath,
    parameters: [benchScript("peers/bare-server-main"), String(port), JSON.stringify(answer)],
    url: `http://127.0.0.1:${port}`,
    healthPath: "/",
    logFile: join(directory, "log"),
  });
}
