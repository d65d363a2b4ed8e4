import { Agent, type IncomingHttpHeaders, request } from "node:http";

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface HttpQuestion {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  readonly url: string;
  readonly form?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** No answer came. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
  /** Whether the server certainly did not see the request: there was no connection. */
  readonly unsent: boolean;
  /** Whether the client gave up, rather than the connection. */
  readonly timedOut: boolean;

  constructor(cause: Error, timedOut: boolean) {
    const code = Reflect.get(cause, "code");
    super(timedOut ? "no answer in time" : `no answer: ${cause.message}`, { cause });
    this.timedOut = timedOut;
    this.unsent = UNSENT.has(String(code)) && Reflect.get(cause, "syscall") === "connect";
  }
}

const UNSENT: ReadonlySet<string> = new Set(["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH"]);

/** HTTP with connections that are kept, as clients have them. */
export class HttpClient implements Disposable {
  readonly #agent = new Agent({ keepAlive: true });

  /** @throws NoAnswer */
  ask({ method, url, form, timeoutMs, signal }: HttpQuestion): Promise<HttpAnswer> {
    const body = form === undefined ? "" : new URLSearchParams(form).toString();
    const headers = { "Content-Type": "application/x-www-form-urlencoded", "Content-Length": Buffer.byteLength(body) };
    return new Promise((resolve, reject) => {
      let timedOut = false;
      const fail = (error: Error): void => {
        clearTimeout(timer);
        reject(new NoAnswer(error, timedOut));
      };
      const asked = request(
        url,
        {
          agent: this.#agent,
          method,
          ...(form === undefined ? {} : { headers }),
          ...(signal === undefined ? {} : { signal }),
        },
        (answer) => {
          const chunks: Buffer[] = [];
          answer.on("data", (chunk: Buffer) => chunks.push(chunk));
          answer.once("error", fail);
          answer.once("end", () => {
            clearTimeout(timer);
            resolve({
              status: answer.statusCode ?? 0,
              headers: answer.headers,
              body: Buffer.concat(chunks).toString(),
            });
          });
        },
      );
      const timer = setTimeout(() => {
        timedOut = true;
        asked.destroy(new Error("no answer in time"));
      }, timeoutMs);
      asked.once("error", fail);
      asked.end(body);
    });
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}
