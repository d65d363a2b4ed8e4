/** The process behind fill.ts: DIRECTORY TOKENS MEMBERS. Makes tokens as /new does, and registers members as nodes do. */
import { randomBytes } from "node:crypto";
import { systemClock } from "../../src/base/clock.ts";
import { parseDuration } from "../../src/base/duration.ts";
import { silentLog } from "../../src/base/log.ts";
import type { Origin } from "../../src/domain/registry/origin.ts";
import { Registry } from "../../src/domain/registry/registry.ts";
import { TOKEN_RANDOM_BYTES, tokenPath } from "../../src/domain/registry/token.ts";
import { Tree } from "../../src/domain/tree/tree.ts";
import { childPath } from "../../src/domain/tree/tree-path.ts";
import { openLmdbEngine } from "../../src/engine/lmdb/lmdb-engine.ts";
import { memberId, memberValue } from "./clusters.ts";

/** Enough for group commits to be large. */
const WRITERS = 512;
const SIZE = 3;

const [directory = "", tokens, members] = process.argv.slice(2);

/** Each member comes by a connection of its own, as nodes do. */
function nodeOrigin(): Origin {
  return { protocol: "v2", address: "10.0.1.11", host: "discovery.example.com:8087", connection: {}, scope: "public" };
}

const clock = systemClock;
const engine = await openLmdbEngine({ directory, clock });
const tree = await Tree.open({ engine, clock, log: silentLog });
const registry = Registry.open({
  engine,
  tree,
  clock,
  log: silentLog,
  tokenTtlMs: parseDuration("168h") ?? 0,
  randomTokenBytes: () => randomBytes(TOKEN_RANDOM_BYTES),
});

async function makeToken(): Promise<void> {
  const { token } = await registry.createToken(SIZE);
  for (let node = 0; node < Number(members); node++) {
    const path = childPath(tokenPath(token), memberId(node));
    const content = { kind: "file", value: Buffer.from(memberValue(node)) } as const;
    await registry.storeFor(nodeOrigin()).write({ kind: "create", path, content, expiry: { kind: "never" } });
  }
}

let begun = 0;
const write = async () => {
  while (begun++ < Number(tokens)) await makeToken();
};
await Promise.all(Array.from({ length: WRITERS }, write));
await registry.close();
await tree.close();
await engine.close();
