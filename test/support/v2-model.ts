/** A plain model of etcd v2's store (store/store.go of 2.3), random commands, and how to hold a tree against the model. */
import fc from "fast-check";
import { text, utf8 } from "../../src/base/bytes.ts";
import { isMusterError } from "../../src/base/errors.ts";
import type { Content, Expiry, TreeEvent, TreeNode, TreePath, WriteCommand } from "../../src/domain/tree/model.ts";
import { ancestorsOf, childPath, isBelow, parsePath, ROOT } from "../../src/domain/tree/tree-path.ts";

export interface ModelNode {
  readonly path: TreePath;
  directory: boolean;
  value: string;
  created: number;
  modified: number;
  expires: number | undefined;
}

export interface ShownNode {
  readonly path: string;
  readonly value: string | undefined;
  readonly created: number;
  readonly modified: number;
  readonly expires: number | undefined;
}

export interface ShownEvent {
  readonly action: string;
  readonly node: ShownNode;
  readonly prev: ShownNode | undefined;
}

const ROOT_NODE: ModelNode = { path: ROOT, directory: true, value: "", created: 0, modified: 0, expires: undefined };

class Refusal extends Error {
  readonly code: string;
  readonly about: string;

  constructor(code: string, about: string) {
    super(`${code} ${about}`);
    this.code = code;
    this.about = about;
  }
}

/** The store of etcd v2, as plainly as it can be written. */
export class Model {
  readonly nodes = new Map<TreePath, ModelNode>();
  readonly events: ShownEvent[] = [];
  index = 1;

  get(path: TreePath): ModelNode {
    if (path === ROOT) return ROOT_NODE;
    for (const step of [...ancestorsOf(path), path]) {
      const node = this.nodes.get(step);
      if (node === undefined) throw new Refusal("nodeNotFound", step);
      if (!node.directory && step !== path) throw new Refusal("notDirectory", step);
      if (step === path) return node;
    }
    return ROOT_NODE;
  }

  apply(command: WriteCommand): ShownEvent {
    const event = this.#apply(command);
    if (!("refresh" in command && command.refresh)) this.events.push(event);
    return event;
  }

  expire(now: number): void {
    for (const node of [...this.nodes.values()]) {
      if (node.expires !== undefined && node.expires <= now) this.#drop(node.path);
    }
  }

  #apply(command: WriteCommand): ShownEvent {
    if (command.path === ROOT && command.kind !== "createInOrder" && command.kind !== "compareAndDelete") {
      throw new Refusal("readOnly", ROOT);
    }
    switch (command.kind) {
      case "set": {
        const before = this.#find(command.path);
        if (command.refresh && before === undefined) this.get(command.path);
        const kept = command.refresh && command.content.kind === "file" ? before?.value : undefined;
        return this.#make("set", { ...command, replace: true, kept });
      }
      case "create":
        return this.#make("create", { ...command, replace: false, kept: undefined });
      case "createInOrder": {
        const path = childPath(command.path, String(this.index + 1).padStart(20, "0"));
        return this.#make("create", { ...command, path, replace: false, kept: undefined });
      }
      case "update": {
        const node = this.get(command.path);
        const given = command.content.kind === "file" ? text(command.content.value) : "";
        if (node.directory && given !== "") throw new Refusal("notFile", command.path);
        return this.#change("update", node, { ...command, value: given });
      }
      case "compareAndSwap": {
        const node = this.#matching(command);
        return this.#change("compareAndSwap", node, { ...command, value: text(command.value) });
      }
      case "delete": {
        const node = this.get(command.path);
        if (node.directory && !command.directory && !command.recursive) throw new Refusal("notFile", command.path);
        const full = [...this.nodes.keys()].some((path) => isBelow(path, command.path));
        if (node.directory && full && !command.recursive) throw new Refusal("directoryNotEmpty", command.path);
        return this.#remove("delete", node);
      }
      case "compareAndDelete":
        return this.#remove("compareAndDelete", this.#matching(command));
      case "expire":
        return this.#remove("expire", this.get(command.path));
    }
  }

  #find(path: TreePath): ModelNode | undefined {
    try {
      return this.get(path);
    } catch (error) {
      if (error instanceof Refusal && error.code === "nodeNotFound") return undefined;
      throw error;
    }
  }

  #make(
    action: string,
    to: { path: TreePath; content: Content; expiry: Expiry; replace: boolean; kept: string | undefined },
  ): ShownEvent {
    for (const above of ancestorsOf(to.path)) {
      if (this.nodes.get(above)?.directory === false) throw new Refusal("notDirectory", above);
    }
    const before = this.nodes.get(to.path);
    if (before?.directory === true) throw new Refusal(to.replace ? "notFile" : "nodeExists", to.path);
    if (before !== undefined && !to.replace) throw new Refusal("nodeExists", to.path);
    const prev = before === undefined ? undefined : show(before);
    this.index++;
    const fresh = { created: this.index, modified: this.index };
    for (const above of ancestorsOf(to.path)) {
      if (this.nodes.has(above)) continue;
      this.nodes.set(above, { path: above, directory: true, value: "", expires: undefined, ...fresh });
    }
    const directory = to.content.kind === "directory";
    const value = to.kept ?? (to.content.kind === "file" ? text(to.content.value) : "");
    const node = { path: to.path, directory, value, expires: timeOf(to.expiry), ...fresh };
    this.nodes.set(to.path, node);
    return { action, node: show(node), prev };
  }

  #change(action: string, node: ModelNode, to: { value: string; expiry: Expiry; refresh: boolean }): ShownEvent {
    const prev = show(node);
    this.index++;
    node.expires = timeOf(to.expiry);
    if (node.directory) return { action, node: { ...show(node), modified: this.index }, prev };
    if (!to.refresh) node.value = to.value;
    node.modified = this.index;
    return { action, node: show(node), prev };
  }

  #matching({ path, condition }: Extract<WriteCommand, { condition: unknown }>): ModelNode {
    const node = this.get(path);
    if (node.directory) throw new Refusal("notFile", path);
    const { prevValue, prevIndex } = condition;
    const pairs: string[] = [];
    if (prevValue !== undefined && text(prevValue) !== node.value) pairs.push(`[${text(prevValue)} != ${node.value}]`);
    if (prevIndex !== undefined && prevIndex !== node.modified) pairs.push(`[${prevIndex} != ${node.modified}]`);
    if (pairs.length > 0) throw new Refusal("compareFailed", pairs.join(" "));
    return node;
  }

  #remove(action: string, node: ModelNode): ShownEvent {
    const prev = show(node);
    this.#drop(node.path);
    this.index++;
    const value = node.directory ? undefined : "";
    return { action, node: { ...prev, value, modified: this.index, expires: undefined }, prev };
  }

  #drop(path: TreePath): void {
    for (const other of [...this.nodes.keys()]) {
      if (other === path || isBelow(other, path)) this.nodes.delete(other);
    }
  }
}

function timeOf(expiry: Expiry): number | undefined {
  return expiry.kind === "at" ? expiry.expires : undefined;
}

export function show(node: ModelNode): ShownNode {
  const { path, directory, value, created, modified, expires } = node;
  return { path, value: directory ? undefined : value, created, modified, expires };
}

export function showNode(node: TreeNode): ShownNode {
  const value = node.kind === "file" && node.isForgotten !== true ? text(node.value) : undefined;
  const { path, createdIndex: created, modifiedIndex: modified, expires } = node;
  return { path, value, created, modified, expires };
}

export function showEvent({ action, node, prevNode }: TreeEvent): ShownEvent {
  return { action, node: showNode(node), prev: prevNode === undefined ? undefined : showNode(prevNode) };
}

export function flatten(node: TreeNode): readonly ShownNode[] {
  const below = node.kind === "directory" ? [...(node.nodes ?? [])].flatMap(flatten) : [];
  return [showNode(node), ...below];
}

const pathArb = fc
  .array(fc.constantFrom("a", "b", "a-", "_h"), { minLength: 1, maxLength: 3 })
  .map((names) => parsePath(names.join("/")));
const valueArb = fc.constantFrom("", "1", "2");
const contentArb: fc.Arbitrary<Content> = fc.oneof(
  { weight: 4, arbitrary: valueArb.map((value): Content => ({ kind: "file", value: utf8(value) })) },
  { weight: 1, arbitrary: fc.constant<Content>({ kind: "directory" }) },
);
export const NEVER = fc.constant<Expiry>({ kind: "never" });
const conditionArb = fc.oneof(
  valueArb.map((value) => ({ prevValue: utf8(value) })),
  fc.integer({ min: 1, max: 20 }).map((prevIndex) => ({ prevIndex })),
  fc.record({ prevValue: valueArb.map(utf8), prevIndex: fc.integer({ min: 1, max: 20 }) }),
);

export function commandArb(expiry: fc.Arbitrary<Expiry>, refresh: fc.Arbitrary<boolean>): fc.Arbitrary<WriteCommand> {
  const path = pathArb;
  const content = contentArb;
  const kind = <K extends WriteCommand["kind"]>(name: K) => fc.constant(name);
  return fc.oneof(
    fc.record({ kind: kind("set"), path, content, expiry, refresh }),
    fc.record({ kind: kind("create"), path, content, expiry }),
    fc.record({ kind: kind("createInOrder"), path: fc.oneof(path, fc.constant(ROOT)), content, expiry }),
    fc.record({ kind: kind("update"), path, content, expiry, refresh }),
    fc.record({
      kind: kind("compareAndSwap"),
      path,
      value: valueArb.map(utf8),
      condition: conditionArb,
      expiry,
      refresh,
    }),
    fc.record({ kind: kind("delete"), path, directory: fc.boolean(), recursive: fc.boolean() }),
    fc.record({ kind: kind("compareAndDelete"), path, condition: conditionArb }),
    fc.record({ kind: kind("expire"), path }),
  );
}

/** The model's answer to a command: an event, or the code and cause of why not. */
export function modelAnswer(model: Model, command: WriteCommand): ShownEvent | string {
  try {
    return model.apply(command);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return `${error.code} ${error.about}`;
  }
}

/** The tree's answer in the same words. */
export async function treeAnswer(writing: Promise<TreeEvent>): Promise<ShownEvent | string> {
  try {
    return showEvent(await writing);
  } catch (error) {
    if (!isMusterError(error)) throw error;
    return `${error.code} ${String(error.details.cause)}`;
  }
}
