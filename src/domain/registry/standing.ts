/** Whether members are there still, asked of the store once for all who ask the same at a time: a thousand may wait. */
import { utf8 } from "../../base/bytes.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Revision } from "../../engine/model.ts";
import type { TreePath } from "../tree/model.ts";
import type { Tree } from "../tree/tree.ts";

/** A member by one registration. */
export interface Registered {
  readonly path: TreePath;
  readonly createRevision: Revision;
}

export class Standing {
  readonly #engine: Engine;
  readonly #tree: Tree;
  readonly #underWay = new Map<string, Promise<boolean>>();

  constructor({ engine, tree }: { readonly engine: Engine; readonly tree: Tree }) {
    this.#engine = engine;
    this.#tree = tree;
  }

  /** Whether the member is there, by this registration and no later one. */
  stands(registered: Registered): Promise<boolean> {
    const name = `${registered.createRevision} ${registered.path}`;
    const underWay = this.#underWay.get(name);
    if (underWay !== undefined) return underWay;
    const asking = this.#ask(registered).finally(() => this.#underWay.delete(name));
    this.#underWay.set(name, asking);
    return asking;
  }

  async #ask({ path, createRevision }: Registered): Promise<boolean> {
    const { revision } = await this.#engine.status();
    if (this.#tree.isUnchanged(path, { after: createRevision, until: revision })) return true;
    const { kvs } = await this.#engine.range({ key: utf8(path), keysOnly: true });
    return kvs[0]?.createRevision === createRevision;
  }
}
