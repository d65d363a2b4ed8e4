/** Answers in JSON that are no nodes: what etcd tells of itself and its members. */
import type { ServerResponse } from "node:http";

/** A whole answer; `json` is the text as it goes out. */
export function answerJson(
  response: ServerResponse,
  answer: { readonly status: number; readonly json: string; readonly headers?: Readonly<Record<string, string>> },
): void {
  response.writeHead(answer.status, {
    ...answer.headers,
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(answer.json),
  });
  response.end(answer.json);
}
