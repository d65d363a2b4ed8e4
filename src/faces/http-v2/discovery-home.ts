/** `/`: what this is and how to use it, in plain text for curl and as a small page for browsers. */
import type { ServerResponse } from "node:http";
import type { Exchange } from "../face.ts";
import { baseUrl } from "./discovery-new.ts";
import { answerText } from "./text-answer.ts";
import { answerMethodNotAllowed } from "./v2-answer.ts";

export function answerHome(exchange: Exchange, publicUrl: string | undefined): void {
  const { request, response } = exchange;
  const base = baseUrl(exchange, publicUrl) ?? "http://HOST:PORT";
  if (request.method !== "GET" && request.method !== "HEAD") {
    answerMethodNotAllowed(response, "GET");
  } else if (wantsPage(request.headers.accept)) {
    answerPage(response, pageOf(base));
  } else {
    response.setHeader("Vary", "Accept");
    answerText(response, 200, explained(base));
  }
}

function answerPage(response: ServerResponse, page: string): void {
  response.writeHead(200, {
    "Content-Type": "text/html; charset=utf-8",
    Vary: "Accept",
    "Content-Length": Buffer.byteLength(page),
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
  });
  response.end(page);
}

function wantsPage(accept: string | undefined): boolean {
  return accept !== undefined && /(^|[\s,])text\/html\b/i.test(accept);
}

/** The three steps: each a sentence and the lines to type. */
function steps(base: string): readonly { readonly say: string; readonly type: readonly string[] }[] {
  return [
    { say: "Get a token for a cluster of three (1 to 1000):", type: [`curl '${base}/new?size=3'`] },
    { say: "Give its URL, the very same, to each node:", type: [node("--discovery URL"), ...byToken(base)] },
    { say: "See who has come:", type: ["curl URL"] },
  ];
}

function node(discovery: string): string {
  return `etcd --name NAME ${discovery} --initial-advertise-peer-urls http://IP:2380 …`;
}

/** The same by etcd's v3 discovery; nothing where the service is below a path, where gRPC goes past it. */
function byToken(base: string): readonly string[] {
  const endpoint = endpointOf(base);
  if (endpoint === undefined) return [];
  return [
    "# etcd 3.7 (3.6 knows both; all nodes alike). TOKEN is the last part of the URL:",
    node(`--discovery-token TOKEN --discovery-endpoints ${endpoint}`),
  ];
}

/** An endpoint as etcd takes it: it adds no port to an address that has none. */
function endpointOf(base: string): string | undefined {
  const [, scheme, host, port] = /^(https?):\/\/([^/]+?)(:[^:/\]]+)?$/.exec(base) ?? [];
  if (scheme === undefined || host === undefined) return undefined;
  return `${scheme}://${host}${port ?? (scheme === "https" ? ":443" : ":80")}`;
}

function explained(base: string): string {
  const list = steps(base).map(
    ({ say, type }, index) => `${index + 1}. ${say}\n\n${type.map((line) => `       ${line}\n`).join("")}`,
  );
  return `Muster: discovery for etcd clusters.\n\nMachines that do not know each other find each other here and form a cluster.\n\n${list.join("\n")}\nThe token is a secret: who knows it can write to its list of members.\nIs the service well? ${base}/health\n`;
}

function pageOf(base: string): string {
  const list = steps(base).map(({ say, type }) => `<li>${escaped(say)}<pre>${escaped(type.join("\n"))}</pre></li>`);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Muster: discovery for etcd clusters</title>
<style>
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem; color-scheme: light dark; }
  pre { padding: .75rem 1rem; white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid #8888; border-radius: .4rem; }
  li { margin: 1rem 0; }
</style>
<h1>Muster</h1>
<p>Machines that do not know each other find each other here and form an etcd cluster.</p>
<ol>
${list.join("\n")}
</ol>
<p>The token is a secret: who knows it can write to its list of members.</p>
<p>Is the service well? <a href="${escaped(`${base}/health`)}">${escaped(base)}/health</a> says so.</p>
</html>
`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
