import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type EtcdServer, startEtcd } from "../../../test/support/etcd-server.ts";
import { type MusterV3, startMusterV3 } from "../../../test/support/muster-v3.ts";
import { type Outcome, V3Client } from "../../../test/support/v3-client.ts";
import { describeWithEtcdGo } from "../../../test/support/with-etcd-go.ts";
import { Status } from "../../grpc/status.ts";

let muster: MusterV3;
let client: V3Client;

beforeAll(async () => {
  muster = await startMusterV3();
  client = new V3Client(muster.address);
});
afterAll(async () => {
  client[Symbol.dispose]();
  await muster[Symbol.asyncDispose]();
});

/** Calls that a new etcd of one member and Muster answer alike. */
const ALIKE: readonly (readonly [string, object])[] = [
  ["Auth/AuthStatus", {}],
  ["Auth/AuthEnable", {}],
  ["Auth/AuthDisable", {}],
  ["Auth/Authenticate", { name: "root", password: "x" }],
  ["Auth/UserAdd", { name: "", password: "x" }],
  ["Auth/UserGet", { name: "a" }],
  ["Auth/UserList", {}],
  ["Auth/UserDelete", { name: "a" }],
  ["Auth/UserChangePassword", { name: "a", password: "x" }],
  ["Auth/UserGrantRole", { user: "a", role: "r" }],
  ["Auth/UserRevokeRole", { name: "a", role: "r" }],
  ["Auth/RoleAdd", { name: "" }],
  ["Auth/RoleGet", { role: "r" }],
  ["Auth/RoleList", {}],
  ["Auth/RoleDelete", { role: "r" }],
  ["Auth/RoleGrantPermission", { name: "r" }],
  ["Auth/RoleGrantPermission", { name: "r", perm: { permType: "READ", key: Buffer.from("a") } }],
  ["Auth/RoleRevokePermission", { role: "r", key: Buffer.from("a") }],
  ["Cluster/MemberAdd", { peerURLs: [] }],
  ["Cluster/MemberAdd", { peerURLs: ["127.0.0.1:1"] }],
  ["Cluster/MemberAdd", { peerURLs: ["http://127.0.0.1:1/path"] }],
  ["Cluster/MemberRemove", { ID: "17" }],
  ["Cluster/MemberUpdate", { ID: "17", peerURLs: ["http://127.0.0.1:1"] }],
  ["Cluster/MemberPromote", { ID: "17" }],
];

await describeWithEtcdGo("3.7", "as etcd 3.7", (binaries) => {
  let etcd: EtcdServer;
  let peer: V3Client;
  beforeAll(async () => {
    etcd = await startEtcd(binaries);
    peer = new V3Client(etcd.clientAddress);
  });
  afterAll(async () => {
    peer[Symbol.dispose]();
    await etcd.stop();
  });

  it.each(ALIKE)("%s %j", async (path, request) => {
    const [expected, found] = await Promise.all([peer.call(path, request), client.call(path, request)]);
    expect(withoutIdentity(found)).toEqual(withoutIdentity(expected));
  });

  it("Cluster/MemberPromote of the member itself", async () => {
    const promoted = async (of: V3Client) => {
      const [list] = (await of.call("Cluster/MemberList", {})).answers;
      return of.call("Cluster/MemberPromote", { ID: memberOf(list).ID });
    };
    expect(await promoted(client)).toEqual(await promoted(peer));
  });
});

/** Headers only as far as they are there, and whether with a revision: the servers began differently. */
function withoutIdentity(outcome: Outcome): unknown {
  const answers = outcome.answers.map((answer) => {
    const header: unknown = Reflect.get(answer, "header");
    const revision = typeof header === "object" && header !== null ? Reflect.get(header, "revision") : undefined;
    return { ...answer, header: { revision } };
  });
  return { ...outcome, answers };
}

interface MemberShown {
  readonly ID: string;
  readonly name: string;
  readonly clientURLs: readonly string[];
  readonly peerURLs: readonly string[];
}

function memberOf(list: object | undefined): MemberShown {
  const members: readonly MemberShown[] = Reflect.get(list ?? {}, "members");
  const [member] = members;
  if (member === undefined || members.length !== 1) throw new Error("there is not one member");
  return member;
}

describe("clusterService", () => {
  it("lists the one member with the address by which the client came", async () => {
    const outcome = await client.call("Cluster/MemberList", { linearizable: true });
    const url = `http://${muster.address}`;
    expect(memberOf(outcome.answers[0])).toMatchObject({ ID: "2", name: "muster", clientURLs: [url], peerURLs: [url] });
  });

  it.each([
    ["MemberAdd", { peerURLs: ["http://127.0.0.1:2380"] }],
    ["MemberRemove", { ID: "2" }],
    ["MemberUpdate", { ID: "2", peerURLs: ["http://127.0.0.1:2380"] }],
  ])("%s says that there is one member", async (name, request) => {
    expect(await client.call(`Cluster/${name}`, request)).toMatchObject({
      code: Status.FAILED_PRECONDITION,
      details: expect.stringContaining("one member"),
    });
  });
});

describe("authService", () => {
  const ofClients = async () => Reflect.get((await client.call("KV/Range", EVERY_KEY)).answers[0] ?? {}, "count");
  const EVERY_KEY = { key: Buffer.of(0), range_end: Buffer.of(0), count_only: true };

  it("tells of every answer at which revision it holds", async () => {
    const revisionOf = ({ answers: [answer] }: Outcome) =>
      Number(Reflect.get(Reflect.get(answer ?? {}, "header"), "revision"));
    const before = revisionOf(await client.call("Auth/AuthStatus", {}));
    expect(revisionOf(await client.call("Auth/UserAdd", { name: "counted" }))).toBe(before + 1);
    expect(revisionOf(await client.call("Auth/UserGet", { name: "counted" }))).toBe(before + 1);
    expect(revisionOf(await client.call("Auth/UserDelete", { name: "counted" }))).toBe(before + 2);
    expect(revisionOf(await client.call("Auth/UserList", {}))).toBe(before + 2);
  });

  it("shows no user or role among the keys, and lets nobody write one there", async () => {
    const before = await ofClients();
    await client.call("Auth/UserAdd", { name: "hidden" });
    expect(await ofClients()).toBe(before);
    const forged = { key: Buffer.from("\0auth/user/forged"), value: Buffer.from("{}") };
    expect(await client.call("KV/Put", forged)).toMatchObject({ code: Status.INVALID_ARGUMENT });
    await client.call("Auth/UserDelete", { name: "hidden" });
  });

  it("AuthEnable, where etcd would turn it on: says that it is always off, and what to do instead", async () => {
    await client.call("Auth/UserAdd", { name: "root", password: "x" });
    expect(await client.call("Auth/AuthEnable", {})).toMatchObject({
      details: "etcdserver: root user does not have root role",
    });
    await client.call("Auth/UserGrantRole", { user: "root", role: "root" });
    expect(await client.call("Auth/AuthEnable", {})).toMatchObject({
      code: Status.UNIMPLEMENTED,
      details: expect.stringMatching(/^Keep clients out by/),
    });
    expect(await client.call("Auth/AuthStatus", {})).toMatchObject({ answers: [{ enabled: false }] });
    await client.call("Auth/UserDelete", { name: "root" });
  });

  it("refuses a name that is longer than keys can be, and a kind of permission that there is not", async () => {
    const long = "n".repeat(2_000);
    for (const method of ["UserAdd", "RoleAdd"]) {
      expect(await client.call(`Auth/${method}`, { name: long })).toMatchObject({
        code: Status.INVALID_ARGUMENT,
        details: expect.stringMatching(/^Use a shorter name .* has 2000 bytes/),
      });
    }
    const perm = { permType: 7, key: Buffer.from("a") };
    expect(await client.call("Auth/RoleGrantPermission", { name: "r", perm })).toMatchObject({
      code: Status.INVALID_ARGUMENT,
      details: expect.stringContaining('"7"'),
    });
  });
});

describe("leaseService", () => {
  it("keeps leases alive one after the other on a stream, and tells which are not there", async () => {
    await client.call("Lease/LeaseGrant", { ID: 71, TTL: 60 });
    await client.call("Lease/LeaseGrant", { ID: 72, TTL: 30 });
    const stream = client.duplex("Lease/LeaseKeepAlive");
    const answers: object[] = [];
    const over = new Promise((resolve, reject) => stream.once("end", resolve).once("error", reject));
    stream.on("data", (answer: object) => answers.push(answer));
    for (const ID of [72, 5, 71]) stream.write({ ID });
    stream.end();
    await over;
    expect(answers).toMatchObject([
      { ID: "72", TTL: "30" },
      { ID: "5", TTL: "0" },
      { ID: "71", TTL: "60" },
    ]);
  });

  it("chooses an ID where none is given", async () => {
    const { answers } = await client.call("Lease/LeaseGrant", { TTL: 60 });
    expect(Number(Reflect.get(answers[0] ?? {}, "ID"))).toBeGreaterThan(0);
  });
});
