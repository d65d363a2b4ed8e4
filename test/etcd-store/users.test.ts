import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { isMusterError } from "../../src/base/errors.ts";
import { createLog } from "../../src/base/log.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { ALL, apply, eventsOf, keysOf, one, put, refusal } from "../contract/requests.ts";
import { type EtcdBinaries, etcdBinaries, NO_ETCD } from "../support/etcd-binaries.ts";
import { type EtcdServer, startEtcd } from "../support/etcd-server.ts";
import { etcdctl } from "../support/etcdctl.ts";
import { openStoreAt } from "../support/with-etcd-store.ts";

const binaries = await etcdBinaries();
const PREFIX = "muster/";
const USER = { name: "muster", password: "first secret" };

describe.skipIf(binaries === undefined)(binaries === undefined ? NO_ETCD : "store in etcd: users", () => {
  let etcd: EtcdServer;
  const ctl = (...parameters: string[]) => asRoot(binaries, etcd, parameters);
  const open = (user: typeof USER | undefined, prefix = PREFIX) =>
    openStoreAt([etcd.clientAddress], { prefix, ...(user === undefined ? {} : { user }) });

  beforeAll(async () => {
    if (binaries === undefined) throw new Error(NO_ETCD);
    etcd = await startEtcd(binaries);
    const plain = (...parameters: string[]) => etcdctl(binaries, { api: 3, endpoints: [etcd.clientUrl] }, parameters);
    await plain("put", "theirs", "secret");
    await plain("user", "add", "root:root");
    await plain("user", "grant-role", "root", "root").catch(() =>
      plain("role", "add", "root").then(() => plain("user", "grant-role", "root", "root")),
    );
    await plain("user", "add", `${USER.name}:${USER.password}`);
    await plain("role", "add", "muster");
    await plain("role", "grant-permission", "--prefix=true", "muster", "readwrite", PREFIX);
    await plain("user", "grant-role", USER.name, "muster");
    await plain("auth", "enable");
  });
  afterAll(() => etcd.stop());

  it("a role for the prefix is enough for all that the engine does", async () => {
    await using store = await open(USER);
    const { engine } = store;
    const watch = engine.watch(ALL);
    const { id } = await engine.grantLease({ id: 0n, ttl: 60 });
    await apply(engine, put("a", "1"), put("b", "1", { lease: id }));
    expect(await engine.leases()).toEqual([id]);
    expect(await engine.leaseStatus(id, { keys: true })).toMatchObject({ grantedTtl: 60, keys: [Buffer.from("b")] });
    expect(await engine.keepLeaseAlive(id)).toBe(60);
    expect(await keysOf(engine)).toContain("a b");
    expect((await engine.range({ ...one("a"), end: Buffer.from("a") })).count).toBe(0);
    await engine.revokeLease(id);
    // The lease's own record comes and goes, too.
    expect((await eventsOf(watch, 5)).map((line) => line.split(/[= ]/, 2).join(" ")).sort()).toEqual(
      ["delete", "delete", "put", "put", "put"].map((kind) => expect.stringContaining(kind)),
    );
    await engine.probe();
    await engine.status();
  });

  it("a token that has become stale is renewed, for calls and for watches", async () => {
    await using store = await open(USER);
    const { engine } = store;
    const live = eventsOf(engine.watch(one("t")), 2);
    await apply(engine, put("t", "1"));
    // Whatever changes a user makes etcd forget its tokens.
    await ctl("user", "revoke-role", USER.name, "muster");
    await ctl("user", "grant-role", USER.name, "muster");
    const later = engine.watch(one("t"));
    await apply(engine, put("t", "2"));
    expect(await live).toHaveLength(2);
    expect(await eventsOf(later, 1)).toHaveLength(1);
  });

  it("who may not, is told what to do: storeUnavailable, and a watch ends with it", async () => {
    await expect(open(undefined)).rejects.toMatchObject({
      code: "storeUnavailable",
      message: expect.stringMatching(/Give Muster a user/),
    });
    await expect(open({ ...USER, password: "wrong" })).rejects.toMatchObject({
      message: expect.stringMatching(/user name and password/),
    });
    await expect(open(USER, "theirs")).rejects.toMatchObject({
      message: expect.stringMatching(/role that may read and write/),
    });
    await ctl("role", "grant-permission", "--prefix=true", "muster", "read", "other/");
    await using store = await open(USER, "other/");
    expect(await keysOf(store.engine)).toBe("");
    const error = await apply(store.engine, put("a", "1")).catch((thrown: unknown) => thrown);
    expect(isMusterError(error, "storeUnavailable") && error.message).toMatch(/role that may read and write/);
    await ctl("role", "revoke-permission", "--prefix=true", "muster", "other/");
    expect(await ended(store.engine)).toBe("storeUnavailable");
  });

  it("a log is told once that etcd has begun to ask for a user, and once that it serves again", async () => {
    const lines: string[] = [];
    const write = (line: string) => void lines.push(z.object({ msg: z.string() }).parse(JSON.parse(line)).msg);
    const log = createLog({ level: "info", format: "json", destination: { write } });
    await ctl("auth", "disable");
    await using store = await openStoreAt([etcd.clientAddress], { prefix: PREFIX, log });
    const { engine } = store;
    const outcome = (call: Promise<unknown>) =>
      call.then(
        () => "done",
        (error: unknown) => isMusterError(error) && error.code,
      );
    const all = () => Promise.all([engine.range(one("a")), apply(engine, put("a", "1"))].map(outcome));
    expect(await all()).toEqual(["done", "done"]);
    await ctl("auth", "enable");
    for (let round = 0; round < 3; round++) {
      expect(await all()).toEqual(["storeUnavailable", "storeUnavailable"]);
    }
    expect(lines).toEqual(["etcd does not serve"]);
    await ctl("auth", "disable");
    for (let round = 0; round < 3; round++) expect(await all()).toEqual(["done", "done"]);
    expect(lines).toEqual(["etcd does not serve", "etcd serves again"]);
  });
});

/** What a watch ends with. */
function ended(engine: Engine): Promise<string> {
  return refusal(
    engine
      .watch({ ...ALL, startRevision: 1 })
      [Symbol.asyncIterator]()
      .next(),
  );
}

async function asRoot(found: EtcdBinaries | undefined, etcd: EtcdServer, parameters: readonly string[]): Promise<void> {
  if (found === undefined) throw new Error(NO_ETCD);
  await etcdctl(found, { api: 3, endpoints: [etcd.clientUrl] }, ["--user", "root:root", ...parameters]);
}
