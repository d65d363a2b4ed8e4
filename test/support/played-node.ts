import { Agent, request } from "node:http";
import { z } from "zod";

const node = z.object({ createdIndex: z.number(), modifiedIndex: z.number() });
const written = z.object({ node });
const listing = z.object({ node: z.object({ nodes: z.array(z.unknown()).default([]) }) });
const text = z.unknown();

interface Answer<T> {
  readonly body: T;
  readonly index: number;
}

/** Does on the wire what the v2 discovery of etcd 2.0 to 3.6 does, on one connection. */
export class PlayedNode implements Disposable {
  readonly #url: string;
  readonly #id: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  /** `url`: a token's, as /new gives it; `id`: the member ID. */
  constructor(url: string, id: string) {
    this.#url = url;
    this.#id = id;
  }

  /** Registers and waits until `size` members are there. */
  async bootstrap(size: number): Promise<void> {
    await this.#ask("GET", "/_config/size", text);
    await this.#ask("GET", "", listing);
    const own = await this.#ask("PUT", `/${this.#id}?prevExist=false`, written);
    await this.#ask("GET", `/${this.#id}?wait=true&waitIndex=${own.body.node.createdIndex}`, text);
    await this.#ask("GET", "/_config/size", text);
    const { body, index } = await this.#ask("GET", "", listing);
    let next = index + 1;
    for (let there = body.node.nodes.length; there < size; there++) {
      const told = await this.#ask("GET", `?wait=true&recursive=true&waitIndex=${next}`, written);
      next = told.body.node.modifiedIndex + 1;
    }
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  #ask<T>(method: string, path: string, schema: z.ZodType<T>): Promise<Answer<T>> {
    const body = method === "PUT" ? `value=${this.#id}%3Dhttp%3A%2F%2F10.0.0.1%3A2380` : "";
    const headers = { "Content-Type": "application/x-www-form-urlencoded", "Content-Length": body.length };
    return new Promise((resolve, reject) => {
      const asked = request(`${this.#url}${path}`, { agent: this.#agent, method, headers }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.once("error", reject);
        answer.once("end", () => {
          const whole = Buffer.concat(chunks).toString();
          if (answer.statusCode !== 200 && answer.statusCode !== 201) {
            reject(new Error(`${method} ${path} was answered ${answer.statusCode}: ${whole}`));
            return;
          }
          resolve({ body: schema.parse(JSON.parse(whole)), index: Number(answer.headers["x-etcd-index"]) });
        });
      });
      asked.once("error", reject);
      asked.end(body);
    });
  }
}
