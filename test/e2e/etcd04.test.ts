import { expect, test } from "vitest";
import { Etcd04Client } from "../support/etcd04-client.ts";
import { MusterProcess } from "../support/muster-process.ts";

function client(discovery: string, number: number): Etcd04Client {
  return new Etcd04Client(discovery, { name: `machine${number}`, peerUrl: `http://10.0.0.${number}:7001` });
}

test("etcd 0.4: one after the other, the first leads and each later one finds those before it", async () => {
  await using muster = await MusterProcess.start();
  const discovery = await muster.newToken(3);
  expect(await client(discovery, 1).join()).toEqual({ role: "leader" });
  expect(await client(discovery, 2).join()).toEqual({ role: "follower", peers: ["http://10.0.0.1:7001"] });
  const third = await client(discovery, 3).join();
  expect(third.role === "follower" && [...third.peers].sort()).toEqual([
    "http://10.0.0.1:7001",
    "http://10.0.0.2:7001",
  ]);
});

test("etcd 0.4: of many at the same time exactly one leads, and the others find peers", async () => {
  await using muster = await MusterProcess.start();
  const discovery = await muster.newToken(5);
  const outcomes = await Promise.all([1, 2, 3, 4, 5].map((number) => client(discovery, number).join()));
  expect(outcomes.filter(({ role }) => role === "leader")).toHaveLength(1);
  expect(await client(discovery, 1).registered()).toHaveLength(5);
});

test("etcd 0.4: heartbeats renew a registration and nothing else", async () => {
  await using muster = await MusterProcess.start();
  const discovery = await muster.newToken(3);
  const machine = client(discovery, 1);
  expect(await machine.heartbeat()).toBe(201);
  expect(await machine.heartbeat()).toBe(200);
  expect(await machine.heartbeat()).toBe(200);
  const [entry, ...others] = await machine.registered();
  expect(others).toEqual([]);
  expect(entry).toMatchObject({ name: "machine1", url: "http://10.0.0.1:7001" });
  expect(entry?.ttl).toBeGreaterThan(604_700);
  expect(entry?.ttl).toBeLessThanOrEqual(604_800);
});

test("etcd 0.4: a machine that comes back joins the others, though it was the leader", async () => {
  await using muster = await MusterProcess.start();
  const discovery = await muster.newToken(3);
  await client(discovery, 1).join();
  await client(discovery, 2).join();
  expect(await client(discovery, 1).join()).toEqual({ role: "follower", peers: ["http://10.0.0.2:7001"] });
});
