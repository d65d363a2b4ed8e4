import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { MAX_REQUESTS_PER_TURN } from "../base/limits.ts";
import { RequestTurns } from "./request-turns.ts";

function begin() {
  const handled: (string | undefined)[] = [];
  const turns = new RequestTurns({ handle: (request) => handled.push(request.url) });
  const arrive = (url: string) => {
    const request = new IncomingMessage(new Socket());
    request.url = url;
    turns.take(request, new ServerResponse(request));
  };
  return { handled, arrive };
}

test("RequestTurns.take: what arrives in one turn is handled after it, together and in order", async () => {
  const { handled, arrive } = begin();
  arrive("/1");
  await Promise.resolve();
  arrive("/2");
  expect(handled).toEqual([]);
  await nextTurn();
  expect(handled).toEqual(["/1", "/2"]);
  arrive("/3");
  await nextTurn();
  expect(handled).toEqual(["/1", "/2", "/3"]);
});

test("RequestTurns.take: of very many only so many begin in a turn, and none is lost or overtaken", async () => {
  const { handled, arrive } = begin();
  const urls = Array.from({ length: 2 * MAX_REQUESTS_PER_TURN + 1 }, (_, place) => `/${place}`);
  for (const url of urls) arrive(url);
  await nextTurn();
  expect(handled).toHaveLength(MAX_REQUESTS_PER_TURN);
  arrive("/last");
  await nextTurn();
  expect(handled).toHaveLength(2 * MAX_REQUESTS_PER_TURN);
  await nextTurn();
  expect(handled).toEqual([...urls, "/last"]);
});
