/**
 * The members of tokens as they were last read: clusters that form, and people who look, ask for the same token again and
 * again. A reading is given again only while it is certain that a new one would say the same.
 */
import { type Clock, timeOver } from "../../base/clock.ts";
import { TOKEN_READING_BYTES, TOKEN_READINGS_BYTES } from "../../base/limits.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Revision } from "../../engine/model.ts";
import type { TreeNode, TreePath, TreeReading } from "../tree/model.ts";
import type { Tree } from "../tree/tree.ts";
import { type Token, tokenPath } from "./token.ts";
import type { TokenHead } from "./token-state.ts";

/** What a reading takes beside paths and values, and what a node of it does; roughly, they only have to bound the total. */
const READING_OVERHEAD_BYTES = 4096;
const NODE_OVERHEAD_BYTES = 64;

interface KeptReading {
  readonly path: TreePath;
  readonly node: TreeNode;
  readonly bytes: number;
  /** When the token's time is over, in ms since 1970; absent: never. */
  readonly expires: number | undefined;
  /** The store's index at which it last was certain to be what is read. */
  index: Revision;
}

export class TokenReadings {
  readonly #engine: Engine;
  readonly #tree: Tree;
  readonly #clock: Clock;
  /** In the order in which they were kept. */
  readonly #kept = new Map<Token, KeptReading>();
  #bytes = 0;

  constructor(options: { readonly engine: Engine; readonly tree: Tree; readonly clock: Clock }) {
    this.#engine = options.engine;
    this.#tree = options.tree;
    this.#clock = options.clock;
  }

  /** The token's directory as it stands, with the store's index of now; undefined where it has to be read. */
  async get(token: Token): Promise<TreeReading | undefined> {
    const kept = this.#kept.get(token);
    if (kept === undefined) return undefined;
    const { revision: index } = await this.#engine.status();
    if (kept.expires !== undefined && kept.expires <= timeOver(this.#clock)) return undefined;
    if (!this.#tree.isUnchanged(kept.path, { after: kept.index, until: index })) return undefined;
    // Others may have asked meanwhile, and know more.
    kept.index = Math.max(kept.index, index);
    return { node: kept.node, index, kept: true };
  }

  /** Keeps what was read of a token that exists, if it is not very much; the same reading, to be given to whoever asked. */
  keep(
    reading: TreeReading,
    { token, record, revision }: Pick<TokenHead, "token" | "record" | "revision">,
  ): TreeReading {
    const { node } = reading;
    const bytes = bytesOf(node);
    this.#forget(token);
    if (bytes > TOKEN_READING_BYTES) return reading;
    // The two were read one after the other: what was written in between may be in only one of them.
    const index = Math.min(reading.index, revision);
    this.#kept.set(token, { path: tokenPath(token), node, bytes, expires: record?.expires, index });
    this.#bytes += bytes;
    while (this.#bytes > TOKEN_READINGS_BYTES) this.#forgetOldest();
    return { ...reading, kept: true };
  }

  #forgetOldest(): void {
    const [oldest] = this.#kept.keys();
    if (oldest !== undefined) this.#forget(oldest);
  }

  #forget(token: Token): void {
    const kept = this.#kept.get(token);
    if (kept === undefined) return;
    this.#kept.delete(token);
    this.#bytes -= kept.bytes;
  }
}

/** About the memory that a reading takes, in bytes; of one that is too large to be kept, only that it is. */
function bytesOf(node: TreeNode): number {
  let bytes = READING_OVERHEAD_BYTES;
  if (node.kind === "file") return bytes + node.value.length;
  for (const child of node.nodes ?? []) {
    bytes += NODE_OVERHEAD_BYTES + child.path.length + (child.kind === "file" ? child.value.length : 0);
    if (bytes > TOKEN_READING_BYTES) break;
  }
  return bytes;
}
