/** The process behind bare-server.ts: PORT ANSWER, the answer as JSON. */
import { createServer } from "node:http";
import * as z from "zod";

const [port, json = ""] = process.argv.slice(2);
const { headers, body } = z
  .object({ headers: z.record(z.string(), z.string()), body: z.string() })
  .parse(JSON.parse(json));

createServer((_request, response) => {
  response.writeHead(200, headers);
  response.end(body);
}).listen(Number(port), "127.0.0.1");
