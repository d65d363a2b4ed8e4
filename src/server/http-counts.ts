/** Counts what Node's HTTP servers answer, by the channel on which Node tells of each: requests pay for no more than that. */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { ServerResponse } from "node:http";
import type { StatusCounts } from "../base/traffic.ts";

const CHANNEL = "http.server.response.finish";

/** Counts by server, until it is forgotten. */
const counted = new Map<unknown, StatusCounts>();

/** Counts the answers of a server from now on; call what it returns when the server is closed. */
export function countAnswers(server: object, counts: StatusCounts): () => void {
  if (counted.size === 0) subscribe(CHANNEL, onFinish);
  counted.set(server, counts);
  return () => {
    counted.delete(server);
    if (counted.size === 0) unsubscribe(CHANNEL, onFinish);
  };
}

function onFinish(message: unknown): void {
  if (typeof message !== "object" || message === null || !("server" in message && "response" in message)) return;
  const { server, response } = message;
  if (response instanceof ServerResponse) counted.get(server)?.count(response.statusCode);
}
