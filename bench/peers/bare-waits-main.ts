/** The process behind startBareWaits: PORT. Holds the responses of those who wait, and nothing else. */
import { createServer, type ServerResponse } from "node:http";

/** As many as v2 answers of Muster have. */
const HEADERS = {
  "X-Etcd-Cluster-Id": "35be2368d129d585",
  "X-Etcd-Index": "12",
  "X-Raft-Index": "12",
  "X-Raft-Term": "2",
  "Content-Type": "application/json",
};

let waiting: ServerResponse[] = [];

createServer((request, response) => {
  if (request.url === "/health") response.end();
  else if (request.method === "PUT") {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => tell(response, Buffer.concat(chunks).toString()));
  } else {
    response.writeHead(200, HEADERS);
    response.flushHeaders();
    waiting.push(response);
  }
}).listen(Number(process.argv[2]), "127.0.0.1");

function tell(writer: ServerResponse, value: string): void {
  const node = { key: "/bench/awaited", value, modifiedIndex: 12, createdIndex: 12 };
  const news = `${JSON.stringify({ action: "set", node })}\n`;
  const told = waiting;
  waiting = [];
  for (const response of told) response.end(news);
  writer.end(news);
}
