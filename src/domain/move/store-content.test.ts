import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { text, utf8 } from "../../base/bytes.ts";
import type { Engine } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import type { LeaseId } from "../../engine/model.ts";
import { keysAt, readMoment, type StoreMoment } from "./store-content.ts";

const KEY = utf8("k");
const LEASE = 7n;
const TTL_S = 600;

let engine: Engine;
beforeEach(() => {
  engine = openMemoryEngine();
});
afterEach(() => engine.close());

const put = (lease: LeaseId) =>
  engine.txn({
    compares: [],
    success: [{ kind: "put", request: { key: KEY, value: utf8("v"), lease } }],
    failure: [],
  });

const keysThen = async (moment: StoreMoment) => {
  const keys: string[] = [];
  for await (const { key } of keysAt(engine, moment)) keys.push(text(key));
  return keys;
};

describe("a key whose lease is not among the store's", () => {
  let moment: StoreMoment;
  beforeEach(async () => {
    await engine.grantLease({ id: LEASE, ttl: TTL_S });
    await put(LEASE);
    moment = { ...(await readMoment(engine)), leases: [] };
  });

  it("is left out where it went with its lease", async () => {
    await engine.revokeLease(LEASE);
    expect(await keysThen(moment)).toEqual([]);
  });

  it("is left out where it went, and another was made in its place", async () => {
    await engine.revokeLease(LEASE);
    await put(0n);
    expect(await keysThen(moment)).toEqual([]);
  });

  it("is refused while it is there", async () => {
    await expect(keysThen(moment)).rejects.toMatchObject({ code: "invalidArgument" });
  });

  it("is refused also where it was put without that lease meanwhile", async () => {
    await put(0n);
    await expect(keysThen(moment)).rejects.toMatchObject({ code: "invalidArgument" });
  });
});
