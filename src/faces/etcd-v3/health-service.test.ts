import { fileURLToPath } from "node:url";
import { credentials, loadPackageDefinition, type ServiceError } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { serveGrpc } from "../../../test/support/grpc-served.ts";
import type { Health } from "../../domain/health-probe.ts";
import { healthService } from "./health-service.ts";

const WELL = { ok: true } as const;
const ILL = { ok: false, reason: "the disk is gone" } as const;

const healthClient = z.custom<HealthClient>((value) => typeof value === "object" && value !== null && "Check" in value);

interface HealthClient {
  Check(request: object, done: (error: ServiceError | null, answer?: object) => void): void;
  List(request: object, done: (error: ServiceError | null, answer?: object) => void): void;
  Watch(request: object): AsyncIterable<object> & { cancel(): void; on(event: "error", heard: () => void): void };
  close(): void;
}

function connect(address: string): HealthClient {
  const file = fileURLToPath(new URL("../../../proto/health.proto", import.meta.url));
  const loaded = loadPackageDefinition(loadSync(file, { enums: String, defaults: true }));
  const Client: unknown = ["grpc", "health", "v1", "Health"].reduce<unknown>(
    (found, name) => (typeof found === "object" && found !== null ? Reflect.get(found, name) : undefined),
    loaded,
  );
  if (typeof Client !== "function") throw new Error("declare grpc.health.v1.Health in proto/health.proto");
  return healthClient.parse(Reflect.construct(Client, [address, credentials.createInsecure()]));
}

async function serve(health: () => Health) {
  const served = await serveGrpc([healthService({ probe: { check: async () => health() }, watchIntervalMs: 10 })]);
  const client = connect(served.address);
  const ask = (method: "Check" | "List", request: object) =>
    new Promise((resolve) => client[method](request, (error, answer) => resolve(error ?? answer)));
  return {
    client,
    ask,
    [Symbol.asyncDispose]: async () => {
      client.close();
      await served[Symbol.asyncDispose]();
    },
  };
}

describe("Health", () => {
  it("Check: the server and each of etcd's services serve while the store can be written, no other is known", async () => {
    let health: Health = WELL;
    await using server = await serve(() => health);
    for (const service of ["", "etcdserverpb.KV", "etcdserverpb.Watch", "etcdserverpb.Maintenance"]) {
      expect(await server.ask("Check", { service })).toEqual({ status: "SERVING" });
    }
    health = ILL;
    expect(await server.ask("Check", { service: "" })).toEqual({ status: "NOT_SERVING" });
    expect(await server.ask("Check", { service: "none" })).toMatchObject({ code: 5, details: "unknown service" });
    expect(await server.ask("List", {})).toMatchObject({
      statuses: expect.arrayContaining([{ key: "etcdserverpb.KV", value: { status: "NOT_SERVING" } }]),
    });
  });

  it("Watch: tells the status at once, and each change once", async () => {
    let health: Health = WELL;
    let looks = 0;
    await using server = await serve(() => {
      looks++;
      return health;
    });
    const watch = server.client.Watch({ service: "" });
    watch.on("error", () => {});
    const statuses = watch[Symbol.asyncIterator]();
    expect((await statuses.next()).value).toEqual({ status: "SERVING" });
    const before = looks;
    await expect.poll(() => looks).toBeGreaterThan(before + 3);
    health = ILL;
    expect((await statuses.next()).value).toEqual({ status: "NOT_SERVING" });
    health = WELL;
    expect((await statuses.next()).value).toEqual({ status: "SERVING" });
    watch.cancel();
  });

  it("Watch: a service that is not known is told so, and no longer looked after when the client goes", async () => {
    let looks = 0;
    await using server = await serve(() => {
      looks++;
      return WELL;
    });
    const unknown = server.client.Watch({ service: "none" });
    unknown.on("error", () => {});
    expect((await unknown[Symbol.asyncIterator]().next()).value).toEqual({ status: "SERVICE_UNKNOWN" });
    expect(looks).toBe(0);
    unknown.cancel();
  });
});
