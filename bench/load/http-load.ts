/** Keeps a number of connections busy for a while. */
import { type Answer, Connection, requestText } from "./connection.ts";
import type { HttpJob, HttpResult, Requests } from "./jobs.ts";

/** Runs the job; rejects at the first answer that is no success. */
export async function runHttpLoad(job: HttpJob): Promise<HttpResult> {
  const { promise: failed, reject } = deferredFailure();
  const connections = await Promise.all(
    Array.from({ length: job.connections }, () => Connection.open(job.url, reject)),
  );
  const next = source(job);
  const bodies: string[] = [];
  let answers = 0;
  const cpuBefore = process.cpuUsage();
  const begun = performance.now();
  const over = begun + (job.limitMs ?? Number.POSITIVE_INFINITY);
  const drive = (connection: Connection) =>
    new Promise<void>((resolve) => {
      const go = () => {
        const request = performance.now() < over ? next() : undefined;
        if (request === undefined) resolve();
        else connection.send(request, took);
      };
      const took = (answer: Answer) => {
        if (answer.status >= 300) reject(new Error(`${job.url} answered ${answer.status}: ${answer.body}`));
        if (job.keepBodies === true) bodies.push(answer.body);
        answers++;
        go();
      };
      go();
    });
  try {
    await Promise.race([Promise.all(connections.map(drive)), failed]);
    const elapsedMs = performance.now() - begun;
    const { user, system } = process.cpuUsage(cpuBefore);
    return { answers, elapsedMs, cpuMs: (user + system) / 1000, bodies };
  } finally {
    for (const connection of connections) connection.close();
  }
}

/** The text of the next request; undefined when there are no more. */
function source({ url, requests, count = Number.POSITIVE_INFINITY }: HttpJob): () => string | undefined {
  let sent = 0;
  const text = textOf(new URL(url).host, requests);
  return () => (sent < count ? text(sent++) : undefined);
}

/** Stands for a path in the text of a request. */
const NUMBER_PLACE = "/\n";

const NUMBER_DIGITS = 8;

function textOf(host: string, requests: Requests): (place: number) => string | undefined {
  if (requests.kind === "same") {
    const text = requestText(host, requests);
    return () => text;
  }
  if (requests.kind === "numbered") {
    const { prefix, keys } = requests;
    const [before = "", after = ""] = requestText(host, { ...requests, path: NUMBER_PLACE }).split(NUMBER_PLACE);
    return (place) => `${before}${prefix}${String(place % keys).padStart(NUMBER_DIGITS, "0")}${after}`;
  }
  // Put together ahead of time, so that it costs nothing while the server is measured.
  const texts = requests.paths.map((path) => requestText(host, { ...requests, path }));
  return (place) => texts[place];
}

function deferredFailure() {
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<never>((_resolve, fail) => {
    reject = fail;
  });
  // It may come when nobody listens any more.
  promise.catch(() => undefined);
  return { promise, reject: (error: Error) => reject(error) };
}
