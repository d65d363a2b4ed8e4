/** Plain text answers, as the original discovery service gave them: no line's end is added. */
import type { ServerResponse } from "node:http";

export function answerText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    "Content-Type": "text/plain; charset=utf-8",
    "Content-Length": Buffer.byteLength(text),
  });
  response.end(text);
}
