import { expect, it } from "vitest";
import { KVDefinition, WatchDefinition } from "../proto/etcdserverpb.ts";
import { HealthDefinition } from "../proto/health.ts";
import { definePartOfService, defineService } from "./service.ts";

it("defineService: a service's methods are found by gRPC's paths, of the kind that the .proto file says", () => {
  const service = defineService(HealthDefinition, {
    check: async ({ service: name }) => ({ status: name === "" ? 1 : 3 }),
    list: async () => ({ statuses: [] }),
    watch: async (_request, call) => {
      await call.send({ status: 1 });
    },
  });
  expect(service.name).toBe("grpc.health.v1.Health");
  expect(service.methods.map(({ path, kind }) => `${path} ${kind}`)).toEqual([
    "/grpc.health.v1.Health/Check unary",
    "/grpc.health.v1.Health/List unary",
    "/grpc.health.v1.Health/Watch serverStream",
  ]);
});

it("definePartOfService: a method without a handler is not there", () => {
  const watch = definePartOfService(WatchDefinition, {
    watch: async (requests, call) => {
      for await (const request of requests) {
        if (request.requestUnion?.$case === "cancelRequest") await call.send({ ...EMPTY, watchId: 1n });
      }
    },
  });
  expect(watch.methods.map(({ path, kind }) => `${path} ${kind}`)).toEqual(["/etcdserverpb.Watch/Watch stream"]);
  expect(definePartOfService(KVDefinition, {}).methods).toEqual([]);
});

const EMPTY = {
  header: undefined,
  created: false,
  canceled: false,
  compactRevision: 0,
  cancelReason: "",
  fragment: false,
  events: [],
};
