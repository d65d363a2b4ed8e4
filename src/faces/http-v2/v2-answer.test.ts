import { once } from "node:events";
import { createServer, get, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { deferred } from "../../../test/support/deferred.ts";
import { utf8 } from "../../base/bytes.ts";
import { systemClock } from "../../base/clock.ts";
import { V2_ANSWER_PIECE_CHARS } from "../../base/limits.ts";
import type { TreeNode } from "../../domain/tree/model.ts";
import { childPath, ROOT } from "../../domain/tree/tree-path.ts";
import { answerReading } from "./v2-answer.ts";

const VALUE = utf8("v".repeat(1000));
const OPTIONS = { clock: systemClock, clusterId: "0123456789abcdef" };
const PIECE_NODES = V2_ANSWER_PIECE_CHARS / VALUE.length;
/** More than all buffers between a server and a client who does not read hold. */
const MANY = 200 * Math.ceil(PIECE_NODES);
/** Turns of the event loop in which a server that can go on would: both ends of the connection are in this process. */
const IDLE_TURNS = 200;

let server: Server;
let count: number;
let made: number;
let failures: unknown[];
let answered: ReturnType<typeof deferred<ServerResponse>>;

beforeEach(async () => {
  made = 0;
  failures = [];
  answered = deferred();
  server = createServer((_request, response) => {
    const node = { kind: "directory", path: ROOT, createdIndex: 0, modifiedIndex: 0, nodes: nodes() } as const;
    Promise.resolve(answerReading(response, { node, index: 7 }, OPTIONS)).then(
      () => answered.resolve(response),
      (error: unknown) => failures.push(error),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
  expect(failures).toEqual([]);
});

function* nodes(): Generator<TreeNode> {
  for (let place = 0; place < count; place++) {
    made++;
    yield { kind: "file", path: childPath(ROOT, `n${place}`), value: VALUE, createdIndex: 5, modifiedIndex: 6 };
  }
}

function target(method = "GET") {
  return { port: (server.address() as AddressInfo).port, host: "127.0.0.1", method, agent: false } as const;
}

async function ask(method?: string): Promise<IncomingMessage> {
  const sent = request(target(method)).end();
  const [response] = await once(sent, "response");
  return response;
}

async function bodyOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function namesIn(body: string): readonly string[] {
  return [...body.matchAll(/"key":"\/(n\d+)"/g)].map(([, name = ""]) => name);
}

function namesOf(length: number): readonly string[] {
  return Array.from({ length }, (_, place) => `n${place}`);
}

/** Lets everybody else in this process have so many turns of the event loop. */
async function passTurns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

describe("answerReading", () => {
  it("sends a short answer whole, with its length", async () => {
    count = 3;
    const response = await ask();
    const body = await bodyOf(response);
    expect(response.headers["content-length"]).toBe(String(body.length));
    expect(namesIn(body)).toEqual(namesOf(3));
  });

  it("sends a long one in pieces, and all of it", async () => {
    count = Math.ceil(3.5 * PIECE_NODES);
    const response = await ask();
    expect(response.headers).toMatchObject({ "transfer-encoding": "chunked", "content-type": "application/json" });
    const body = await bodyOf(response);
    expect(body.endsWith("]}}\n")).toBe(true);
    expect(namesIn(body)).toEqual(namesOf(count));
    expect(() => JSON.parse(body)).not.toThrow();
  });

  it("makes no more than a slow reader takes, and in the end all", async () => {
    count = MANY;
    const response = await ask();
    response.pause();
    let before = -1;
    while (made !== before) {
      before = made;
      await passTurns(IDLE_TURNS);
    }
    expect(made).toBeLessThan(MANY);
    expect(namesIn(await bodyOf(response))).toHaveLength(MANY);
  });

  it("makes no more for a client who has gone, and is done", async () => {
    count = MANY;
    const sent = get(target());
    const [response] = await once(sent, "response");
    response.pause();
    sent.destroy();
    const answer = await answered.promise;
    expect(answer.destroyed).toBe(true);
    expect(made).toBeLessThan(MANY);
    expect(answer.listenerCount("drain")).toBeLessThanOrEqual(1);
  });

  it("makes no body for who asks for the headers only", async () => {
    count = MANY;
    const response = await ask("HEAD");
    expect(await bodyOf(response)).toBe("");
    expect(made).toBeLessThan(2 * PIECE_NODES);
  });
});
