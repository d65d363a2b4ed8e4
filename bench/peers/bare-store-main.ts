/** The process behind bare-store.ts: PORT DIRECTORY. */
import { createServer } from "node:http";
import { open } from "lmdb";

const [port, directory = ""] = process.argv.slice(2);
const HEALTH_PATH = "/health";
const VALUE = Buffer.alloc(100, "x");
const ANSWER = JSON.stringify({ action: "set", node: { key: "/key", value: "3", modifiedIndex: 1, createdIndex: 1 } });
const HEADERS = { "content-type": "application/json", "content-length": Buffer.byteLength(ANSWER) };

// As Muster opens it: resolved means synced.
const store = open<Buffer, Buffer>({
  path: directory,
  encoding: "binary",
  keyEncoding: "binary",
  noSubdir: false,
  overlappingSync: false,
  cache: false,
});

let count = 0;

createServer((request, response) => {
  const answer = () => {
    response.writeHead(200, HEADERS);
    response.end(ANSWER);
  };
  if (request.url === HEALTH_PATH) {
    answer();
    return;
  }
  request.resume();
  request.on("end", () => {
    const key = Buffer.alloc(8);
    key.writeBigUInt64BE(BigInt(count++));
    store.put(key, VALUE).then(answer, () => response.destroy());
  });
}).listen(Number(port), "127.0.0.1");
