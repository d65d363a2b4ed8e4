/** Plain text answers, as the original discovery service gave them: no line's end is added. */
import type { ServerResponse } from "node:http";
import { sendWhole } from "./send-whole.ts";

export function answerText(response: ServerResponse, status: number, text: string): void {
  const length = String(Buffer.byteLength(text));
  response.writeHead(status, ["Content-Type", "text/plain; charset=utf-8", "Content-Length", length]);
  sendWhole(response, text);
}
