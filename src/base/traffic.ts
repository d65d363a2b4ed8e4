/** What was answered and what waits, for metrics: to count an answer costs one addition. */

/** How often each status was answered. */
export class StatusCounts {
  readonly #counts = new Float64Array(MAX_STATUS + 1);

  count(status: number): void {
    this.#counts[status] = (this.#counts[status] ?? 0) + 1;
  }

  /** Those that were answered at all, in rising order. */
  *entries(): Generator<readonly [status: number, count: number], void, undefined> {
    for (const [status, count] of this.#counts.entries()) if (count > 0) yield [status, count];
  }
}

/** The largest status of HTTP; those of gRPC are below 20. */
const MAX_STATUS = 999;

export type Protocol = "http" | "grpc";

/** One kind of listener (public or client), by one protocol. */
export interface Flow {
  readonly listener: string;
  readonly protocol: Protocol;
  readonly answered: StatusCounts;
  /** Requests that wait for their answer, or streams that are open. */
  open(): number;
}

export class Traffic {
  readonly #flows: Flow[] = [];

  get flows(): readonly Flow[] {
    return this.#flows;
  }

  add(flow: Flow): void {
    this.#flows.push(flow);
  }
}
