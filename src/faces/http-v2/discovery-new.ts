/** `/new`: a new token, as a URL in plain text, to be given to every node as it stands. */
import { MAX_CLUSTER_SIZE } from "../../base/limits.ts";
import type { Registry } from "../../domain/registry/registry.ts";
import { parseSize } from "../../domain/registry/token-state.ts";
import type { Exchange } from "../face.ts";
import { readForm } from "./form.ts";
import { answerText } from "./text-answer.ts";
import { answerMethodNotAllowed } from "./v2-answer.ts";

const METHODS: readonly string[] = ["GET", "PUT", "POST"];

/** The size of a cluster for which none is asked (discovery.etcd.io). */
const DEFAULT_SIZE = "3";

export async function answerNew(
  exchange: Exchange,
  options: { readonly registry: Registry; readonly publicUrl: string | undefined },
): Promise<void> {
  const { request, response } = exchange;
  if (!METHODS.includes(request.method ?? "")) return answerMethodNotAllowed(response, METHODS.join(","));
  const base = baseUrl(exchange, options.publicUrl);
  if (base === undefined) {
    return answerText(
      response,
      400,
      "Send a Host header of the form host[:port], or start muster with --public-url: the token's URL begins with it\n",
    );
  }
  const form = await readForm(exchange);
  const asked = form.first("size") || DEFAULT_SIZE;
  const size = parseSize(asked);
  if (size === undefined) {
    return answerText(
      response,
      400,
      `Ask for a size that is a whole number from 1 to ${MAX_CLUSTER_SIZE}: got "${asked}"\n`,
    );
  }
  const { token } = await options.registry.createToken(size);
  answerText(response, 200, `${base}/${token}`);
}

/** What people can reach this service by: as configured, else as this request did; undefined where it did not say. */
export function baseUrl({ peer }: Exchange, publicUrl: string | undefined): string | undefined {
  if (publicUrl !== undefined) return publicUrl;
  return peer.host === undefined ? undefined : `${peer.scheme}://${peer.host}`;
}
