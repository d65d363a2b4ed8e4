/** `/` and `/new` on the client listener: not there, as with etcd, but people who come to the wrong address are told so. */
import type { Exchange, HttpFace } from "../face.ts";
import { answerText } from "./text-answer.ts";

const HINT = `404 page not found

This is Muster's client listener: etcd's v2 API at /v2/keys, and etcd's v3 API over gRPC (etcdctl). Discovery URLs come
from /new on the public listener: muster serve --listen, http://127.0.0.1:8087 by default.
`;

export class ClientHome implements HttpFace {
  readonly name = "client home";

  claims(path: string): boolean {
    return path === "/" || path === "/new";
  }

  handle({ response }: Exchange): Promise<void> {
    answerText(response, 404, HINT);
    return Promise.resolve();
  }
}
