/** What tools that watch over a service ask: `/health`, as etcd answers it. */
import type { HealthProbe } from "../../domain/health-probe.ts";
import type { Exchange, HttpFace } from "../face.ts";

/** As etcd 2.3.8, which lets Go guess the type of what it sends. */
const PLAIN = "text/plain; charset=utf-8";

/** Serves the client listener; the public listener's face answers /health from the same probe. */
export class OpsFace implements HttpFace {
  readonly name = "ops";
  readonly #probe: HealthProbe;

  constructor(options: { readonly probe: HealthProbe }) {
    this.#probe = options.probe;
  }

  claims(path: string): boolean {
    return path === "/health";
  }

  async handle({ request, response }: Exchange): Promise<void> {
    if (request.method !== "GET") {
      response.writeHead(405, { Allow: "GET", "Content-Type": PLAIN }).end("Method Not Allowed\n");
      return;
    }
    const health = await this.#probe.check();
    // The space behind the colon is etcd 2.3.8's: there are scripts that look for the text.
    const body = health.ok
      ? `{"health": "true"${field("notice", health.notice)}}`
      : `{"health": "false"${field("reason", health.reason)}}`;
    const headers = { "Content-Type": PLAIN, "Content-Length": Buffer.byteLength(body) };
    response.writeHead(health.ok ? 200 : 503, headers).end(body);
  }
}

function field(name: string, text: string | undefined): string {
  return text === undefined ? "" : `, "${name}": ${JSON.stringify(text)}`;
}
