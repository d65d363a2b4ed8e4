import { z } from "zod";

const listing = z.object({
  node: z.object({
    nodes: z.array(z.object({ key: z.string(), value: z.string(), createdIndex: z.number() })).default([]),
  }),
});

export interface Registered {
  /** As etcd derived it: the last part of the key. */
  readonly id: string;
  /** `name=peerURL[,name=peerURL…]` */
  readonly value: string;
  readonly createdIndex: number;
}

/** What is registered under a discovery URL, in order of registration. */
export async function registrations(discovery: string): Promise<readonly Registered[]> {
  const answer = await fetch(discovery);
  const { node } = listing.parse(await answer.json());
  return node.nodes
    .map(({ key, value, createdIndex }) => ({ id: key.slice(key.lastIndexOf("/") + 1), value, createdIndex }))
    .sort((a, b) => a.createdIndex - b.createdIndex);
}

/** What is registered under a discovery URL, in order of value: `name=peerURL[,name=peerURL…]`. */
export async function registeredMembers(discovery: string): Promise<readonly string[]> {
  return (await registrations(discovery)).map(({ value }) => value).sort();
}

/** The URL of a node's entry below its discovery URL. */
export async function memberUrl(discovery: string, name: string): Promise<string> {
  const member = (await registrations(discovery)).find(({ value }) => value.startsWith(`${name}=`));
  if (member === undefined) {
    throw new Error(`${name} has not registered under ${discovery}`);
  }
  return `${discovery}/${member.id}`;
}

/** A PUT with a form, as v2 clients send it. */
export function putForm(url: string, form: Readonly<Record<string, string>>): Promise<Response> {
  return fetch(url, { method: "PUT", body: new URLSearchParams(form) });
}
