/** /v2/members: the one member, and why it cannot be changed. What etcd finds wrong with a request comes first. */
import { z } from "zod";
import { text } from "../../base/bytes.ts";
import type { Exchange } from "../face.ts";
import { readBody } from "./form.ts";
import { goQuoted } from "./go-text.ts";
import { answerJson } from "./json-answer.ts";
import { type Member, type MemberOptions, memberFor } from "./member.ts";
import { answerMethodNotAllowed } from "./v2-answer.ts";

export interface MembersOptions extends MemberOptions {
  /** X-Etcd-Cluster-Id. */
  readonly clusterId: string;
}

const MEMBERS = "/v2/members";
const METHODS = ["GET", "POST", "DELETE", "PUT"] as const;
type Method = (typeof METHODS)[number];

/** Whether a clean path is one of these. */
export function isMembersPath(path: string): boolean {
  return path === MEMBERS || path.startsWith(`${MEMBERS}/`);
}

/** Answers a request for a clean path at or below /v2/members. */
export async function answerMembers(exchange: Exchange, path: string, options: MembersOptions): Promise<void> {
  const method = METHODS.find((known) => known === exchange.request.method);
  if (method === undefined) return answerMethodNotAllowed(exchange.response, METHODS.join(","));
  const name = path.slice(MEMBERS.length).replace(/^\//, "");
  const member = memberFor(exchange, options);
  const refusal =
    method === "GET" ? refusedLook(name) : await refusedChange(exchange, { method, name, memberId: member.id });
  exchange.response.setHeader("X-Etcd-Cluster-Id", options.clusterId);
  if (refusal === "method") return answerMethodNotAllowed(exchange.response, "GET,POST");
  const { status, json } = refusal === undefined ? { status: 200, json: lookJson(name, member) } : refusal;
  answerJson(exchange.response, { status, json });
}

interface Refusal {
  readonly status: number;
  readonly json: string;
}

function refused(status: number, message: string): Refusal {
  return { status, json: `{"message":${goQuoted(message)}}` };
}

function refusedLook(name: string): Refusal | undefined {
  return name === "" || name === "leader" ? undefined : refused(404, "Not found");
}

function lookJson(name: string, member: Member): string {
  return `${JSON.stringify(name === "leader" ? member : { members: [member] })}\n`;
}

const FIXED =
  "Leave the members as they are: Muster is one process and always a cluster of one member, which cannot be changed";

interface Change {
  readonly method: Exclude<Method, "GET">;
  /** What stands behind /v2/members/. */
  readonly name: string;
  readonly memberId: string;
}

async function refusedChange(exchange: Exchange, { method, name, memberId }: Change): Promise<Refusal | "method"> {
  if (method !== "POST" && name === "") return "method";
  const id = parseId(name);
  if (method !== "POST" && id === undefined) return unknownMember(name);
  const wrong = method === "DELETE" ? undefined : await wrongBody(exchange);
  if (wrong !== undefined) return wrong;
  if (method !== "POST" && id !== memberId) return unknownMember(id ?? name);
  // Of the statuses that etcd's client knows here, the one whose message it shows to people.
  return refused(409, FIXED);
}

function unknownMember(id: string): Refusal {
  return refused(404, `No such member: ${id}`);
}

/** A member's id as etcd writes it: 64 bits in hex without leading zeros; undefined for what is none. */
function parseId(name: string): string | undefined {
  if (!/^[0-9a-f]+$/i.test(name)) return undefined;
  const id = name.toLowerCase().replace(/^0+(?=.)/, "");
  return id.length <= 16 ? id : undefined;
}

const memberRequest = z.object({ peerURLs: z.array(z.string()).nullish() });

async function wrongBody(exchange: Exchange): Promise<Refusal | undefined> {
  const type = exchange.request.headers["content-type"] ?? "";
  if (type.split(";", 1)[0]?.trim() !== "application/json") {
    return refused(415, `Bad Content-Type ${type}, accept application/json`);
  }
  const parsed = parseRequest(text(await readBody(exchange)));
  const message = parsed === undefined ? 'Send JSON of the form {"peerURLs":["http://HOST:PORT"]}' : wrongUrls(parsed);
  return message === undefined ? undefined : refused(400, message);
}

function parseRequest(body: string): readonly string[] | undefined {
  try {
    const result = memberRequest.safeParse(JSON.parse(body));
    return result.success ? (result.data.peerURLs ?? []) : undefined;
  } catch {
    // No JSON; the answer says so.
    return undefined;
  }
}

/** etcd's words for the first URL that cannot be a peer's (pkg/types/urls.go). */
function wrongUrls(urls: readonly string[]): string | undefined {
  if (urls.length === 0) return "no valid URLs given";
  return urls.map(wrongUrl).find((message) => message !== undefined);
}

function wrongUrl(url: string): string | undefined {
  const [, host, path] = /^(?:https?|unixs?):\/\/([^/]*)(.*)$/.exec(url.trim()) ?? [];
  if (host === undefined) return `URL scheme must be http, https, unix, or unixs: ${url}`;
  if (!/:\d+$/.test(host)) return `URL address does not have the form "host:port": ${url}`;
  return path === "" ? undefined : `URL must not contain a path: ${url}`;
}
