import { afterAll, beforeAll, expect, it } from "vitest";
import { type MusterV3, startMusterV3 } from "../../../test/support/muster-v3.ts";
import { V3Client } from "../../../test/support/v3-client.ts";
import { Status } from "../../grpc/status.ts";

let muster: MusterV3;
let client: V3Client;
beforeAll(async () => {
  muster = await startMusterV3({ isRemote: true });
  client = new V3Client(muster.address);
});
afterAll(async () => {
  client[Symbol.dispose]();
  await muster[Symbol.asyncDispose]();
});

it.each([
  ["Maintenance/Defragment", {}, Status.UNIMPLEMENTED],
  ["Maintenance/Snapshot", {}, Status.UNIMPLEMENTED],
  ["Maintenance/Alarm", { action: "ACTIVATE", alarm: "NOSPACE" }, Status.UNIMPLEMENTED],
  ["Maintenance/Alarm", { action: "DEACTIVATE", alarm: "NOSPACE" }, Status.UNIMPLEMENTED],
  ["Cluster/MemberAdd", { peerURLs: ["http://127.0.0.1:2380"] }, Status.FAILED_PRECONDITION],
  ["Cluster/MemberRemove", { ID: "2" }, Status.FAILED_PRECONDITION],
  ["Auth/UserAdd", { name: "a", password: "x" }, Status.UNIMPLEMENTED],
  ["Auth/RoleAdd", { name: "a" }, Status.UNIMPLEMENTED],
])("over an etcd %s %j is refused, and who does it instead is named", async (method, request, code) => {
  expect(await client.call(method, request)).toMatchObject({
    code,
    details: expect.stringMatching(/etcd behind this Muster|store behind this Muster/),
  });
});

it.each([
  ["Auth/AuthEnable", Status.FAILED_PRECONDITION],
  ["Auth/UserDelete", Status.FAILED_PRECONDITION],
  ["Maintenance/MoveLeader", Status.FAILED_PRECONDITION],
  ["Maintenance/Downgrade", Status.INVALID_ARGUMENT],
])("over an etcd %s is refused as by every Muster", async (method, code) => {
  expect(await client.call(method, {})).toMatchObject({ code });
});

it("over an etcd Status, Alarm, Hash and HashKV answer without a file", async () => {
  await client.call("KV/Put", { key: Buffer.from("a"), value: Buffer.from("b") });
  expect(await client.call("Maintenance/Status", {})).toMatchObject({
    ok: true,
    answers: [{ dbSize: "0", dbSizeInUse: "0", raftIndex: "2", errors: [] }],
  });
  expect(await client.call("Maintenance/Alarm", {})).toMatchObject({ ok: true, answers: [{ alarms: [] }] });
  expect(await client.call("Maintenance/Hash", {})).toMatchObject({ ok: true });
  expect(await client.call("Maintenance/HashKV", {})).toMatchObject({
    ok: true,
    answers: [{ compact_revision: "-1" }],
  });
});
