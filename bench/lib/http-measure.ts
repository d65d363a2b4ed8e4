/** One round of HTTP load on one server: how many requests a second, and what they cost whom. */
import type { HttpJob } from "../load/jobs.ts";
import type { Load } from "../load/load.ts";
import type { Server } from "../peers/server.ts";
import type { Row } from "./figure.ts";
import { cpuTimeMs } from "./process-stats.ts";
import { shown, spreadOf } from "./statistics.ts";

/** Unless a figure says otherwise; kept alive, one request at a time on each. */
export const CONNECTIONS = 64;

export interface HttpMeasure {
  readonly perSecond: number;
  /** Processor time of the server for a request, in µs. */
  readonly serverUs: number;
  /** Of one core, 0 to the number of cores. */
  readonly serverShare: number;
  readonly clientShare: number;
}

export async function measureHttp(
  { load, server }: { readonly load: Load; readonly server: Server },
  job: Pick<HttpJob, "requests" | "limitMs" | "count"> & Partial<Pick<HttpJob, "connections">>,
): Promise<HttpMeasure> {
  const before = await cpuTimeMs(server.pid);
  const { answers, elapsedMs, cpuMs } = await load.http({ connections: CONNECTIONS, ...job, url: server.url });
  const serverMs = (await cpuTimeMs(server.pid)) - before;
  return {
    perSecond: (answers * 1000) / elapsedMs,
    serverUs: (serverMs * 1000) / answers,
    serverShare: serverMs / elapsedMs,
    clientShare: cpuMs / elapsedMs,
  };
}

/** Requests a second, and beside it who was busy: a client near 100 % would hide what the server can do. */
export function httpRow(label: string, measures: readonly HttpMeasure[]): Row {
  const median = (pick: (measure: HttpMeasure) => number) => spreadOf(measures.map(pick)).median;
  const percent = (share: number) => `${Math.round(share * 100)} %`;
  const server = `${shown(median((measure) => measure.serverUs))} µs of processor time each`;
  const shares = `server ${percent(median((m) => m.serverShare))}, client ${percent(median((m) => m.clientShare))} of a core`;
  return { label, values: rates(measures), unit: "requests/s", note: `${server}; ${shares}` };
}

export function rates(measures: readonly HttpMeasure[]): readonly number[] {
  return measures.map(({ perSecond }) => perSecond);
}
