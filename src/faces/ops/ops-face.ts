/** What tools that watch over a service ask: `/health`, as etcd answers it. */
import type { HealthProbe } from "../../domain/health-probe.ts";
import type { Exchange, HttpFace } from "../face.ts";

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
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { Allow: "GET" }).end("Method Not Allowed\n");
      return;
    }
    const health = await this.#probe.check();
    const body = JSON.stringify(health.ok ? { health: "true" } : { health: "false", reason: health.reason });
    const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) };
    response.writeHead(health.ok ? 200 : 503, headers).end(body);
  }
}
