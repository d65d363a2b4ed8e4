import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isMusterError } from "../../src/base/errors.ts";
import { apply, lines, one, put, refusal, txn } from "../contract/requests.ts";
import { etcdBinaries, NO_ETCD } from "../support/etcd-binaries.ts";
import { type EtcdServer, startEtcd } from "../support/etcd-server.ts";
import { Link } from "../support/link.ts";
import { until } from "../support/until.ts";
import { openStoreAt } from "../support/with-etcd-store.ts";

const binaries = await etcdBinaries();
/** Nobody listens there. */
const NOWHERE = "127.0.0.1:1";

describe.skipIf(binaries === undefined)(binaries === undefined ? NO_ETCD : "store in etcd: outcomes", () => {
  let etcd: EtcdServer;
  beforeAll(async () => {
    if (binaries === undefined) throw new Error(NO_ETCD);
    etcd = await startEtcd(binaries);
  });
  afterAll(() => etcd.stop());

  const version = async (key: string): Promise<number> => {
    await using direct = await openStoreAt([etcd.clientAddress]);
    return (await direct.engine.range(one(key))).kvs[0]?.version ?? 0;
  };

  it("txn: whose answer is lost with the connection is outcomeUnknown, and is not sent again", async () => {
    await using link = await Link.open(etcd.clientAddress);
    await using store = await openStoreAt([link.address, etcd.clientAddress]);
    link.holdAnswers();
    const written = refusal(apply(store.engine, put("lost", "1")));
    await until(async () => ((await version("lost")) === 1 ? true : undefined), { timeoutMs: 20_000, what: "the put" });
    link.cut();
    expect(await written).toBe("outcomeUnknown");
    link.heal();
    await apply(store.engine, put("after", "1"));
    expect(await version("lost")).toBe(1);
  });

  it("txn: which is never answered is outcomeUnknown in time, and the next one goes elsewhere", async () => {
    await using link = await Link.open(etcd.clientAddress);
    await using store = await openStoreAt([link.address, etcd.clientAddress]);
    link.holdAnswers();
    expect(await refusal(apply(store.engine, put("silent", "1")))).toBe("outcomeUnknown");
    await apply(store.engine, put("silent", "2"));
    expect(store.engine.endpoints?.().map(({ inUse }) => inUse)).toEqual([false, true]);
    await sleep(100);
    expect(await version("silent")).toBe(2);
  });

  it("txn: of which nothing was sent goes to the endpoint that can be reached, once", async () => {
    await using store = await openStoreAt([NOWHERE, etcd.clientAddress]);
    await apply(store.engine, put("once", "1"));
    expect(await version("once")).toBe(1);
  });

  it("txn: too large for gRPC is refused for good, and says nothing against the endpoint", async () => {
    await using store = await openStoreAt([etcd.clientAddress]);
    expect(await refusal(apply(store.engine, put("large", "x".repeat(3 * 1024 * 1024))))).toBe("tooLarge");
    expect(store.engine.endpoints?.()).toEqual([{ name: etcd.clientAddress, inUse: true }]);
  });

  it("txn: of which nothing was sent because an endpoint's name is unknown goes to the next one, once", async () => {
    await using link = await Link.open(etcd.clientAddress);
    await using store = await openStoreAt([link.address, "muster-test.invalid:2379", etcd.clientAddress]);
    link.holdAnswers();
    const lost = refusal(apply(store.engine, put("turn", "1")));
    await until(async () => ((await version("turn")) === 1 ? true : undefined), { timeoutMs: 20_000, what: "the put" });
    link.cut();
    expect(await lost).toBe("outcomeUnknown");
    expect(store.engine.endpoints?.()[1]).toMatchObject({ inUse: true });
    await apply(store.engine, put("named", "1"));
    expect(await version("named")).toBe(1);
  });

  it("txn: while no endpoint can be reached is storeUnavailable, was not applied, and works again afterwards", async () => {
    await using link = await Link.open(etcd.clientAddress);
    await using store = await openStoreAt([link.address]);
    await link.close();
    // A write on a connection of which nobody has noticed yet that it is gone may have been applied; a read may not.
    expect(await refusal(store.engine.range(one("closed")))).toBe("storeUnavailable");
    expect(await refusal(apply(store.engine, put("closed", "1")))).toBe("storeUnavailable");
    expect(await refusal(store.engine.probe())).toBe("storeUnavailable");
    expect(await version("closed")).toBe(0);
    await link.reopen();
    await until(() => store.engine.probe().then(() => true as const), { timeoutMs: 30_000, what: "the store" });
    await apply(store.engine, put("closed", "2"));
    expect(await version("closed")).toBe(1);
  });

  it("range: whose answer is lost is asked again at the next endpoint", async () => {
    await using link = await Link.open(etcd.clientAddress);
    await using store = await openStoreAt([link.address, etcd.clientAddress]);
    await apply(store.engine, put("read", "1"));
    link.holdAnswers();
    expect(lines((await store.engine.range(one("read"))).kvs)).toHaveLength(1);
    expect(await store.engine.txn(txn([], [{ kind: "range", request: one("read") }]))).toMatchObject({
      succeeded: true,
    });
  });

  it("grantLease: whose answer is lost is outcomeUnknown", async () => {
    await using link = await Link.open(etcd.clientAddress);
    await using store = await openStoreAt([link.address]);
    link.holdAnswers();
    expect(await refusal(store.engine.grantLease({ id: 77n, ttl: 60 }))).toBe("outcomeUnknown");
  });

  it("close: gives up what is under way: a write that was sent is outcomeUnknown, a read is closed", async () => {
    await using link = await Link.open(etcd.clientAddress);
    await using store = await openStoreAt([link.address]);
    link.holdAnswers();
    const calls = [refusal(apply(store.engine, put("closing", "1"))), refusal(store.engine.range(one("closing")))];
    await until(async () => ((await version("closing")) === 1 ? true : undefined), {
      timeoutMs: 20_000,
      what: "the put",
    });
    await store.engine.close();
    expect(await Promise.all(calls)).toEqual(["outcomeUnknown", "closed"]);
  });

  it("open: names the endpoints where none can be reached", async () => {
    const error = await openStoreAt([NOWHERE, "127.0.0.1:2"]).catch((thrown: unknown) => thrown);
    expect(isMusterError(error, "storeUnavailable") && error.message).toContain("127.0.0.1:1, 127.0.0.1:2");
  });
});
