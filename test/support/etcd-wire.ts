import { fileURLToPath } from "node:url";
import {
  type Client,
  type ClientDuplexStream,
  type MethodDefinition,
  type ServiceDefinition,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { z } from "zod";
import { type ErrorCode, MusterError } from "../../src/base/errors.ts";

const definition = loadSync(fileURLToPath(new URL("etcd.proto", import.meta.url)), {
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
});

const int = z.string().transform(Number);
const id = z.string().transform(BigInt);
const bytes = z.instanceof(Buffer);
const header = z.object({ revision: int });

const keyValue = z.object({
  key: bytes,
  create_revision: int,
  mod_revision: int,
  version: int,
  value: bytes,
  lease: id,
});
export type WireKeyValue = z.output<typeof keyValue>;

export const rangeResponse = z.object({ header, kvs: z.array(keyValue), more: z.boolean(), count: int });
const putResponse = z.object({ prev_kv: keyValue.nullish() });
const deleteRangeResponse = z.object({ deleted: int, prev_kvs: z.array(keyValue) });

const responseOp = z.object({
  response_range: rangeResponse.nullish(),
  response_put: putResponse.nullish(),
  response_delete_range: deleteRangeResponse.nullish(),
  get response_txn() {
    return z.object({ succeeded: z.boolean(), responses: z.array(responseOp) }).nullish();
  },
});
export type WireResponseOp = z.output<typeof responseOp>;

export const txnResponse = z.object({ header, succeeded: z.boolean(), responses: z.array(responseOp) });
export const headerResponse = z.object({ header });

export const watchResponse = z.object({
  header: header.nullish(),
  created: z.boolean(),
  canceled: z.boolean(),
  compact_revision: int,
  cancel_reason: z.string(),
  events: z.array(z.object({ type: z.enum(["PUT", "DELETE"]), kv: keyValue, prev_kv: keyValue.nullish() })),
});
export type WireWatchResponse = z.output<typeof watchResponse>;

export const leaseGrantResponse = z.object({ ID: id, TTL: int });
export const leaseKeepAliveResponse = z.object({ TTL: int });
export const leaseTimeToLiveResponse = z.object({ ID: id, TTL: int, grantedTTL: int, keys: z.array(bytes) });
export const leaseLeasesResponse = z.object({ leases: z.array(z.object({ ID: id })) });

/** A method by service and name, such as `KV` `Range`. */
function methodOf(service: string, name: string): MethodDefinition<object, object> {
  const methods = definition[`etcdserverpb.${service}`];
  const method = methods !== undefined && !("format" in methods) ? serviceMethod(methods, name) : undefined;
  if (method === undefined) {
    throw new Error(`declare it in etcd.proto: "${service}/${name}"`);
  }
  return method;
}

function serviceMethod(methods: ServiceDefinition, name: string): MethodDefinition<object, object> | undefined {
  return methods[name];
}

/** One question, one answer; errors are MusterErrors. */
export function unary<S extends z.ZodType>(
  client: Client,
  [service, name, schema]: readonly [string, string, S],
  request: object,
): Promise<z.output<S>> {
  const method = methodOf(service, name);
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      (error: ServiceError | null, answer?: object) => {
        if (error === null) {
          resolve(schema.parse(answer));
        } else {
          reject(fromWire(error));
        }
      },
    );
  });
}

/** A stream in both directions. */
export function duplex(client: Client, service: string, name: string): ClientDuplexStream<object, object> {
  const method = methodOf(service, name);
  return client.makeBidiStreamRequest(method.path, method.requestSerialize, method.responseDeserialize);
}

const CODES: readonly (readonly [string, ErrorCode])[] = [
  ["required revision has been compacted", "compacted"],
  ["required revision is a future revision", "futureRevision"],
  ["duplicate key given in txn request", "duplicateKey"],
  ["too many operations in txn request", "tooManyOperations"],
  ["key not found", "keyNotFound"],
  ["requested lease not found", "leaseNotFound"],
  ["lease already exists", "leaseExists"],
  ["too large lease TTL", "leaseTtlTooLarge"],
  ["key is not provided", "invalidArgument"],
  ["value is provided", "invalidArgument"],
  ["lease is provided", "invalidArgument"],
  ["request is too large", "tooLarge"],
];

/** etcd tells its errors by their text. */
export function fromWire(error: ServiceError): MusterError {
  const code = CODES.find(([words]) => error.details.includes(words))?.[1];
  if (code !== undefined) {
    return new MusterError(code, error.details, { cause: error });
  }
  const gone = error.code === status.CANCELLED || error.code === status.UNAVAILABLE;
  return new MusterError(gone ? "closed" : "internal", error.details, { cause: error });
}
