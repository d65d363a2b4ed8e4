import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { goProgram } from "../support/go-programs.ts";
import { interopService } from "../support/interop-service.ts";
import { startTestService, type TestService } from "../support/test-service.ts";

const run = promisify(execFile);

/** Of gRPC's interoperability tests those that need neither compression nor metadata in answers, which etcd has not. */
const CASES = [
  "empty_unary",
  "large_unary",
  "client_streaming",
  "server_streaming",
  "ping_pong",
  "empty_stream",
  "timeout_on_sleeping_server",
  "cancel_after_begin",
  "cancel_after_first_response",
  "status_code_and_message",
  "special_status_message",
  "unimplemented_method",
  "unimplemented_service",
] as const;

const client = await goProgram({ name: "go-client.mjs", purpose: "test gRPC with grpc-go" });

let running: TestService;
beforeAll(async () => {
  running = await startTestService({ clientServices: [interopService] });
});
afterAll(() => running[Symbol.asyncDispose]());

if ("missing" in client) {
  test.skip(`grpc-go's interoperability tests: skipped: ${client.missing}`, () => undefined);
} else {
  test.each(CASES)("GrpcServer: grpc-go's interoperability test %s passes", async (name) => {
    const { host } = new URL(running.clientUrl);
    expect((await run(client.printed, [host, name])).stdout.trim()).toBe(name);
  });
}
