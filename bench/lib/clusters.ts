/** Tokens, members and values as etcd's discovery client makes them. */
import type { Load } from "../load/load.ts";
import type { Server } from "../peers/server.ts";
import { CONNECTIONS } from "./http-measure.ts";

/** A member's ID is as long as those that etcd makes: 16 hex digits. */
export function memberId(node: number): string {
  return (0x8e9e05c500000000n + BigInt(node)).toString(16);
}

/** What a node registers: its name and peer URL. */
export function memberValue(node: number): string {
  return `infra${node}=http://10.0.1.${(node % 250) + 1}:2380`;
}

/** The form body of a registration. */
export function memberBody(node: number): string {
  return `value=${encodeURIComponent(memberValue(node))}`;
}

/** The query with which nodes register. */
export const REGISTER = "?prevExist=false";

/** Makes tokens by /new on a running Muster. */
export async function makeTokens(
  { load, muster }: { readonly load: Load; readonly muster: Server },
  { count, size }: { readonly count: number; readonly size: number },
): Promise<readonly string[]> {
  const { bodies } = await load.http({
    url: muster.url,
    connections: CONNECTIONS,
    count,
    keepBodies: true,
    requests: { kind: "same", method: "GET", path: `/new?size=${size}` },
  });
  return bodies.map((body) => body.slice(body.lastIndexOf("/") + 1));
}

/** Registers nodes 0 to `members` - 1, each with its own ID, at every token; on etcd below `prefix`. */
export async function registerMembers(
  { load, server, prefix }: { readonly load: Load; readonly server: Server; readonly prefix: string },
  { token, members }: { readonly token: string; readonly members: number },
): Promise<void> {
  const paths = Array.from({ length: members }, (_, node) => `${prefix}/${token}/${memberId(node)}${REGISTER}`);
  const requests = { kind: "listed", method: "PUT", paths, body: memberBody(1) } as const;
  await load.http({ url: server.url, connections: CONNECTIONS, requests });
}
