import { afterEach, expect, test } from "vitest";
import { GrpcClient } from "../../test/support/grpc-client.ts";
import { faceOf, startTestService, type TestService } from "../../test/support/test-service.ts";
import { defineService } from "../grpc/service.ts";
import { HealthCheckRequest, HealthDefinition } from "../proto/health.ts";

let running: TestService | undefined;
afterEach(async () => {
  await running?.[Symbol.asyncDispose]();
  running = undefined;
});

const hello = faceOf(async ({ response }) => void response.end("hello"));
const health = defineService(HealthDefinition, {
  check: async ({ service }) => ({ status: service === "" ? 1 : 3 }),
  list: async () => ({ statuses: [] }),
  watch: async (_request, call) => {
    await call.send({ status: 1 });
    await new Promise((_resolve, reject) => {
      call.signal.addEventListener("abort", () => reject(call.signal.reason));
    });
  },
});

test("Listener: one port answers HTTP/1.1 and gRPC", async () => {
  running = await startTestService({ publicFaces: [hello], publicServices: [health] });
  using client = new GrpcClient(running.publicUrl);
  const check = { service: "grpc.health.v1.Health", method: HealthDefinition.methods.check };
  expect(await client.unary(check, HealthCheckRequest.create())).toEqual({ status: 1 });
  expect(await (await fetch(running.publicUrl)).text()).toBe("hello");
  expect(await client.unary(check, { service: "x" })).toEqual({ status: 3 });
});
