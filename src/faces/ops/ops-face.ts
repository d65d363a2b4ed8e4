/** What tools that watch over a service ask: `/health`, as etcd answers it. */
import type { Health, HealthProbe } from "../../domain/health-probe.ts";
import type { StoreEndpoint } from "../../engine/engine.ts";
import type { Exchange, HttpFace } from "../face.ts";

/** As etcd 2.3.8, which lets Go guess the type of what it sends. */
const PLAIN = "text/plain; charset=utf-8";

/** Serves the client listener; the public listener's face answers /health from the same probe. */
export class OpsFace implements HttpFace {
  readonly name = "ops";
  readonly #probe: Pick<HealthProbe, "check">;
  readonly #endpoints: (() => readonly StoreEndpoint[]) | undefined;

  /** With `endpoints`, those of an etcd, the answer tells Muster's own state and the store's apart. */
  constructor(options: {
    readonly probe: Pick<HealthProbe, "check">;
    readonly endpoints?: (() => readonly StoreEndpoint[]) | undefined;
  }) {
    this.#probe = options.probe;
    this.#endpoints = options.endpoints;
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
    const apart = this.#endpoints === undefined ? "" : statesApart(health, this.#endpoints());
    const body = health.ok
      ? `{"health": "true"${field("notice", health.notice)}${apart}}`
      : `{"health": "false"${field("reason", health.reason)}${apart}}`;
    const headers = { "Content-Type": PLAIN, "Content-Length": Buffer.byteLength(body) };
    response.writeHead(health.ok ? 200 : 503, headers).end(body);
  }
}

/** Muster is well while it has nothing to say of itself; it serves all the same. */
function statesApart(health: Health, endpoints: readonly StoreEndpoint[]): string {
  const muster = { ok: health.notice === undefined, notice: health.notice };
  const problems = endpoints.flatMap(({ name, problem }) => (problem === undefined ? [] : [[name, problem]]));
  const store = {
    ok: health.ok,
    endpoint: endpoints.find(({ inUse }) => inUse)?.name,
    reason: health.ok ? undefined : health.reason,
    problems: problems.length === 0 ? undefined : Object.fromEntries(problems),
  };
  return `${field("muster", muster)}${field("store", store)}`;
}

function field(name: string, value: unknown): string {
  return value === undefined ? "" : `, "${name}": ${JSON.stringify(value)}`;
}
