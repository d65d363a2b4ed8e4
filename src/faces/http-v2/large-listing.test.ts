/** A recursive listing of a hundred thousand nodes over HTTP, from LMDB: nobody else waits for it. */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LoopMeter } from "../../../test/support/loop-meter.ts";
import { utf8 } from "../../base/bytes.ts";
import { systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { Tree } from "../../domain/tree/tree.ts";
import type { Engine } from "../../engine/engine.ts";
import { openLmdbEngine } from "../../engine/lmdb/lmdb-engine.ts";
import { KeysFace } from "./keys-face.ts";

const NODES = 100_000;
const NODES_IN_TXN = 100;
const VALUE = utf8("v".repeat(100));

/** What makes the test fail; the aim is 50. */
const LONGEST_HOLD_MS = 200;

let directory: string;
let engine: Engine;
let tree: Tree;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "muster-listing-"));
  engine = await openLmdbEngine({ directory, clock: systemClock });
  for (let start = 0; start < NODES; start += NODES_IN_TXN) {
    const success = Array.from({ length: NODES_IN_TXN }, (_, place) => {
      const key = utf8(`/d${(start + place) % 100}/node-${start + place}`);
      return { kind: "put", request: { key, value: VALUE } } as const;
    });
    await engine.txn({ compares: [], success, failure: [] });
  }
  tree = await Tree.open({ engine, clock: systemClock, log: silentLog });
});

afterEach(async () => {
  await tree.close();
  await engine.close();
  await rm(directory, { recursive: true });
});

describe("KeysFace", () => {
  it(`recursive: holds the event loop for no longer than ${LONGEST_HOLD_MS} ms`, async () => {
    const face = new KeysFace({ storeFor: () => tree, clock: systemClock, clusterId: "0123456789abcdef" });
    const failures: unknown[] = [];
    const server = createServer((incoming, response) => {
      const [path = "/", query = ""] = (incoming.url ?? "/").split("?");
      const peer = { address: "127.0.0.1", host: undefined, scheme: "http", connection: incoming.socket } as const;
      const signal = new AbortController().signal;
      face
        .handle({ request: incoming, response, peer, path, query, signal, hold: () => undefined })
        .catch((error: unknown) => failures.push(error));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const meter = new LoopMeter();
    const { port } = server.address() as AddressInfo;
    const sent = request({ port, host: "127.0.0.1", path: "/v2/keys/?recursive=true", agent: false }).end();
    const [response] = await once(sent, "response");
    let found = 0;
    for await (const chunk of response) found += Buffer.from(chunk).toString("latin1").split('"value"').length - 1;
    const heldMs = meter.stop();
    console.log(`recursive listing of ${NODES} nodes: longest hold ${heldMs.toFixed(1)} ms`);
    server.close();
    await once(server, "close");
    expect(failures).toEqual([]);
    // A name that two chunks share is missed.
    expect(found).toBeGreaterThan(NODES * 0.9);
    expect(heldMs).toBeLessThan(LONGEST_HOLD_MS);
  });
});
