/** `/metrics` for Prometheus: this process, what it answered, and the store behind it. */
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { Traffic } from "../../base/traffic.ts";
import type { Health, HealthProbe } from "../../domain/health-probe.ts";
import type { DiskUse, Engine, StoreEndpoint } from "../../engine/engine.ts";
import type { Exchange, HttpFace } from "../face.ts";

export interface MetricsOptions {
  /** Muster's. */
  readonly version: string;
  readonly traffic: Traffic;
  readonly probe: Pick<HealthProbe, "check">;
  readonly engine: Pick<Engine, "status" | "diskUse">;
  /** Of a store that is an etcd. */
  readonly endpoints?: (() => readonly StoreEndpoint[]) | undefined;
}

/** What a store tells of itself while it is well. */
interface StoreNumbers {
  readonly revision: number;
  readonly disk: DiskUse | undefined;
}

export class MetricsFace implements HttpFace {
  readonly name = "metrics";
  readonly #options: MetricsOptions;
  readonly #registry = new Registry();
  readonly #gauges: Gauges;
  #isMeasuring = false;

  constructor(options: MetricsOptions) {
    this.#options = options;
    this.#gauges = gaugesIn(this.#registry);
    this.#gauges.build.set({ version: options.version }, 1);
  }

  claims(path: string): boolean {
    return path === "/metrics";
  }

  async handle({ request, response }: Exchange): Promise<void> {
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { Allow: "GET, HEAD" }).end();
      return;
    }
    this.#measureProcess();
    const health = await this.#options.probe.check();
    const numbers = health.ok ? await this.#numbers() : undefined;
    // From here on nothing is awaited before the text is begun: two who ask at once must not mix.
    this.#tell(health, numbers);
    const body = await this.#registry.metrics();
    const headers = { "Content-Type": this.#registry.contentType, "Content-Length": Buffer.byteLength(body) };
    response.writeHead(200, headers).end(body);
  }

  /** Measuring the event loop and the garbage collection costs a little all the time: only where somebody asks. */
  #measureProcess(): void {
    if (this.#isMeasuring) return;
    this.#isMeasuring = true;
    collectDefaultMetrics({ register: this.#registry });
  }

  /** Undefined where the store failed since it was found well: the next answer says so. */
  async #numbers(): Promise<StoreNumbers | undefined> {
    const { engine } = this.#options;
    const [status, disk] = await Promise.allSettled([engine.status(), engine.diskUse?.()]);
    if (status.status === "rejected") return undefined;
    return { revision: status.value.revision, disk: disk.status === "fulfilled" ? disk.value : undefined };
  }

  #tell(health: Health, numbers: StoreNumbers | undefined): void {
    const gauges = this.#gauges;
    gauges.healthy.set(health.ok ? 1 : 0);
    gauges.notice.set(health.notice === undefined ? 0 : 1);
    for (const gauge of [gauges.endpoint, gauges.revision, gauges.disk, gauges.open, gauges.answered]) gauge.reset();
    if (numbers === undefined) gauges.revision.remove();
    else gauges.revision.set(numbers.revision);
    if (numbers?.disk !== undefined) {
      gauges.disk.set({ kind: "file" }, numbers.disk.fileBytes);
      gauges.disk.set({ kind: "live" }, numbers.disk.liveBytes);
      gauges.disk.set({ kind: "history" }, numbers.disk.historyBytes);
    }
    for (const { name, inUse } of this.#options.endpoints?.() ?? [])
      gauges.endpoint.set({ endpoint: name }, inUse ? 1 : 0);
    for (const { listener, protocol, answered, open } of this.#options.traffic.flows) {
      gauges.open.set({ listener, protocol }, open());
      for (const [status, count] of answered.entries()) gauges.answered.inc({ listener, protocol, status }, count);
    }
  }
}

type Gauges = ReturnType<typeof gaugesIn>;

function gaugesIn(registry: Registry) {
  const registers = [registry];
  return {
    build: new Gauge({
      name: "muster_build_info",
      help: "Muster's version; always 1",
      labelNames: ["version"],
      registers,
    }),
    healthy: new Gauge({
      name: "muster_healthy",
      help: "1 while the store can write, so that nodes are served: what /health says",
      registers,
    }),
    notice: new Gauge({
      name: "muster_notice",
      help: "1 while /health has a notice for the operator, as of a clock that is wrong",
      registers,
    }),
    revision: new Gauge({ name: "muster_store_revision", help: "newest revision of the store", registers }),
    disk: new Gauge({
      name: "muster_store_bytes",
      help: "embedded store: its file, what lives in it, and history",
      labelNames: ["kind"],
      registers,
    }),
    endpoint: new Gauge({
      name: "muster_store_endpoint_in_use",
      help: "store in an etcd: 1 for the endpoint that requests go to, 0 for the others",
      labelNames: ["endpoint"],
      registers,
    }),
    open: new Gauge({
      name: "muster_requests_open",
      help: "http: requests that wait (long polls, long answers); grpc: calls and streams that are open",
      labelNames: ["listener", "protocol"],
      registers,
    }),
    answered: new Counter({
      name: "muster_requests_total",
      help: "requests answered, by HTTP status or number of the gRPC status",
      labelNames: ["listener", "protocol", "status"],
      registers,
    }),
  };
}
