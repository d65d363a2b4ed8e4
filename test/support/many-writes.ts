import { Agent, request } from "node:http";

const CONNECTIONS = 32;
/** A write without an answer for so long is an error, and the first error ends it all. */
const ANSWER_TIMEOUT_MS = 60_000;
const BODY = "value=something";

/**
 * Writes `count` times through /v2/keys of a client listener, over a handful of keys. Rejects when one is not
 * acknowledged.
 */
export async function writeManyTimes(clientUrl: string, count: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  let left = count;
  const writeOn = async (url: string): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await write(agent, url);
    }
  };
  try {
    const writers = Array.from({ length: CONNECTIONS }, (_, number) => writeOn(`${clientUrl}/v2/keys/load/${number}`));
    await Promise.all(writers);
  } finally {
    left = 0;
    agent.destroy();
  }
}

function write(agent: Agent, url: string): Promise<void> {
  const headers = { "Content-Type": "application/x-www-form-urlencoded", "Content-Length": BODY.length };
  return new Promise((resolve, reject) => {
    const asked = request(url, { agent, method: "PUT", headers, timeout: ANSWER_TIMEOUT_MS }, (answer) => {
      answer.resume();
      answer.once("error", reject);
      answer.once("end", () => {
        if (answer.statusCode === 200 || answer.statusCode === 201) {
          resolve();
        } else {
          reject(new Error(`a write of ${url} was answered ${answer.statusCode}`));
        }
      });
    });
    asked.once("timeout", () => asked.destroy(new Error(`a write of ${url} had no answer in ${ANSWER_TIMEOUT_MS} ms`)));
    asked.once("error", reject);
    asked.end(BODY);
  });
}
