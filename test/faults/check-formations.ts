import type { Formation, FormingNode } from "./history.ts";
import type { StoreLog } from "./store-log.ts";

/** Every cluster formed, with one list for all its nodes: the first to register, as many as it is to have, each once. */
export function checkFormations(formations: readonly Formation[], log: StoreLog): readonly string[] {
  return formations.flatMap((formation) => checkFormation(formation, log));
}

function checkFormation({ directory, size, nodes }: Formation, log: StoreLog): readonly string[] {
  const changes = log.below(directory, { from: 0, to: Number.POSITIVE_INFINITY }).filter(({ key }) => {
    const id = key.slice(directory.length);
    return !(id.startsWith("_") || id.includes("/"));
  });
  const firsts = new Map<string, string>();
  const wrong: string[] = [];
  for (const { key, value, revision } of changes) {
    if (value === undefined) wrong.push(`${key} was deleted at ${revision}`);
    else if (firsts.has(key)) wrong.push(`${key} was registered again at ${revision}, as ${value}`);
    else firsts.set(key, value);
  }
  const registered = [...firsts.values()];
  const known = new Set(nodes.map(({ value }) => value));
  const strangers = registered.filter((value) => !known.has(value));
  const members = registered.slice(0, size);
  return [
    ...wrong,
    ...strangers.map((value) => `${directory}: "${value}" is registered, and no node came with that`),
    ...(members.length < size ? [`${directory}: ${members.length} of ${size} registered`] : []),
    ...nodes.flatMap((node) => checkNode(node, { directory, members })),
  ];
}

function checkNode(
  { id, value, outcome }: FormingNode,
  { directory, members }: { readonly directory: string; readonly members: readonly string[] },
): readonly string[] {
  const node = `${directory}${id}`;
  const list = members.join(" ");
  switch (outcome.kind) {
    case "failed":
      return [`${node} did not form: ${outcome.why}`];
    case "full":
      return members.includes(value) ? [`${node} was told that the cluster is full, and is a member of it`] : [];
    case "formed":
      if (outcome.members.join(" ") !== list) return [`${node} formed with ${outcome.members.join(" ")}, not ${list}`];
      return members.includes(value) ? [] : [`${node} formed, and is no member: ${list}`];
  }
}
