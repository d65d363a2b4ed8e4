/** The npm client `etcd3`, as programs use it: played on Muster, and on a real etcd to see that the test is right. */
import { Etcd3, type Watcher } from "etcd3";
import { describe, expect, test } from "vitest";
import { startEtcd } from "../support/etcd-server.ts";
import { startMusterOverEtcd } from "../support/muster-over-etcd.ts";
import { MusterProcess } from "../support/muster-process.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";

const WAIT_MS = 60_000;

interface Server extends AsyncDisposable {
  readonly clientUrl: string;
}

function define(start: () => Promise<Server>): void {
  test("keys: put, get, ranges, deletes", async () => {
    await using server = await start();
    await using client = connect(server);
    const { etcd } = client;
    for (const key of ["a/1", "a/2", "b/1"]) await etcd.put(key).value(`value of ${key}`);
    expect(await etcd.get("a/1").string()).toBe("value of a/1");
    expect(await etcd.get("none").string()).toBeNull();
    expect(await etcd.getAll().prefix("a/").strings()).toEqual({ "a/1": "value of a/1", "a/2": "value of a/2" });
    expect(await etcd.getAll().prefix("").sort("Key", "Descend").limit(2).keys()).toEqual(["b/1", "a/2"]);
    expect(await etcd.getAll().count()).toBe(3);
    expect((await etcd.delete().prefix("a/")).deleted).toBe("2");
    await etcd.namespace("space/").put("x").value("y");
    expect(await etcd.get("space/x").string()).toBe("y");
  });

  test("transactions: compare and swap, and software transactional memory under contention", async () => {
    await using server = await start();
    await using client = connect(server);
    const { etcd } = client;
    await etcd.put("counter").value("0");
    const swap = (from: string, to: string) =>
      etcd.if("counter", "Value", "==", from).then(etcd.put("counter").value(to)).else(etcd.get("counter")).commit();
    expect(await swap("0", "1")).toMatchObject({ succeeded: true });
    expect(await swap("0", "2")).toMatchObject({ succeeded: false });
    const increment = () =>
      etcd.stm({ retries: 50 }).transact(async (tx) => {
        await tx.put("counter").value(`${Number(await tx.get("counter").string()) + 1}`);
      });
    await Promise.all(Array.from({ length: 8 }, increment));
    expect(await etcd.get("counter").string()).toBe("9");
  });

  test("watches: puts and deletes of a key and a prefix, from a past revision, and none after it was canceled", async () => {
    await using server = await start();
    await using client = connect(server);
    const { etcd } = client;
    const told: string[] = [];
    const watcher = await etcd.watch().prefix("w/").create();
    listen(watcher, told);
    const { header } = await etcd.put("w/1").value("one");
    await etcd.put("w/2").value("two");
    await etcd.delete().key("w/1");
    await expect.poll(() => told, { timeout: WAIT_MS }).toEqual(["put w/1=one", "put w/2=two", "delete w/1="]);
    const past: string[] = [];
    listen(await etcd.watch().key("w/2").startRevision(header.revision).create(), past);
    await expect.poll(() => past, { timeout: WAIT_MS }).toEqual(["put w/2=two"]);
    await watcher.cancel();
    await etcd.put("w/2").value("three");
    await expect.poll(() => past, { timeout: WAIT_MS }).toEqual(["put w/2=two", "put w/2=three"]);
    expect(told).toHaveLength(3);
  });

  test("leases: keys go when they are revoked, and stay while they are kept alive", async () => {
    await using server = await start();
    await using client = connect(server);
    const { etcd } = client;
    const lease = etcd.lease(10);
    await lease.put("leased").value("x");
    expect(await etcd.get("leased").string()).toBe("x");
    expect(await lease.keepaliveOnce()).toMatchObject({ TTL: "10" });
    await lease.revoke();
    expect(await etcd.get("leased").string()).toBeNull();
    const short = etcd.lease(4, { autoKeepAlive: false });
    await short.put("short").value("x");
    short.release();
    await expect.poll(() => etcd.get("short").string(), { timeout: WAIT_MS }).toBeNull();
  });

  test("locks: one holds it, the others do not get it until it is given up", async () => {
    await using server = await start();
    await using client = connect(server);
    const { etcd } = client;
    const first = await etcd.lock("mutex").acquire();
    await expect(etcd.lock("mutex").acquire()).rejects.toThrow();
    await first.release();
    await etcd.lock("mutex").do(async () => {
      await expect(etcd.lock("mutex").acquire()).rejects.toThrow();
    });
  });

  test("elections: one leads, and another when it resigns", async () => {
    await using server = await start();
    await using one = connect(server);
    await using two = connect(server);
    const first = one.etcd.election("leaders", 10).campaign("one");
    await new Promise<void>((resolve) => first.on("elected", resolve));
    expect(await two.etcd.election("leaders").leader()).toBe("one");
    const second = two.etcd.election("leaders", 10).campaign("two");
    const elected = new Promise<void>((resolve) => second.on("elected", resolve));
    await first.resign();
    await elected;
    expect(await one.etcd.election("leaders").leader()).toBe("two");
    await second.resign();
  });
}

function connect(server: Server) {
  const etcd = new Etcd3({ hosts: server.clientUrl });
  return { etcd, [Symbol.asyncDispose]: async () => etcd.close() };
}

function listen(watcher: Watcher, told: string[]): void {
  watcher.on("put", ({ key, value }) => told.push(`put ${key}=${value}`));
  watcher.on("delete", ({ key, value }) => told.push(`delete ${key}=${value}`));
}

describe("etcd3 on Muster", () => {
  define(() => MusterProcess.start());

  test("a watch goes on where it was when Muster is killed and started again", async () => {
    await using muster = await MusterProcess.start();
    await using client = connect(muster);
    const { etcd } = client;
    const told: string[] = [];
    listen(await etcd.watch().prefix("w/").create(), told);
    await etcd.put("w/1").value("before");
    await expect.poll(() => told, { timeout: WAIT_MS }).toEqual(["put w/1=before"]);
    await muster.kill("SIGKILL");
    await muster.restart();
    const other = new Etcd3({ hosts: muster.clientUrl });
    await other.put("w/2").value("after");
    other.close();
    await expect.poll(() => told, { timeout: WAIT_MS }).toEqual(["put w/1=before", "put w/2=after"]);
  });
});

await describeWithEtcd("etcd3 on a Muster over an etcd that others use", (binaries) =>
  define(() => startMusterOverEtcd(binaries, ["--store-prefix", "/muster/"])),
);

await describeWithEtcd("etcd3 on a real etcd", (binaries) => define(() => startEtcd(binaries)));
