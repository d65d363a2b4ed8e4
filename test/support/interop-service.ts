/** The service that gRPC's interoperability tests ask (grpc/grpc, doc/interop-test-descriptions.md), on our own server. */
import { fileURLToPath } from "node:url";
import protobuf from "protobufjs";
import { z } from "zod";
import { MessageWriter } from "../../src/base/message-writer.ts";
import type { StreamCall } from "../../src/grpc/call.ts";
import { GrpcError } from "../../src/grpc/grpc-error.ts";
import { type Codec, definePartOfService, type Service } from "../../src/grpc/service.ts";
import { Status } from "../../src/grpc/status.ts";

const types = protobuf.loadSync(fileURLToPath(new URL("interop.proto", import.meta.url)));

const payload = z.object({ body: z.instanceof(Uint8Array).optional() }).optional();
const echoStatus = z.object({ code: z.number().default(0), message: z.string().default("") }).optional();
const simpleRequest = z.object({ responseSize: z.number().default(0), payload, responseStatus: echoStatus });
const inputRequest = z.object({ payload });
const outputRequest = z.object({
  responseParameters: z.array(z.object({ size: z.number().default(0), intervalUs: z.number().default(0) })).default([]),
  payload,
  responseStatus: echoStatus,
});

/** The codec of a message of interop.proto, whose requests are checked. */
function codec<Message>(name: string, schema: z.ZodType<Message>): Codec<Message> {
  const type = types.lookupType(`grpc.testing.${name}`);
  return {
    encode: (message, writer = new MessageWriter()) =>
      writer.raw(type.encode(z.record(z.string(), z.unknown()).parse(message)).finish()),
    // Fields that did not come are not there.
    decode: (bytes) => schema.parse(type.toObject(type.decode(bytes))),
  };
}

const anything = z.record(z.string(), z.unknown());
const method = <Request>(name: string, request: readonly [string, z.ZodType<Request>], response: string) => ({
  name,
  requestType: codec(...request),
  responseType: codec(response, anything),
});

const DEFINITION = {
  fullName: "grpc.testing.TestService",
  methods: {
    emptyCall: { ...method("EmptyCall", ["Empty", anything], "Empty"), requestStream: false, responseStream: false },
    unaryCall: {
      ...method("UnaryCall", ["SimpleRequest", simpleRequest], "SimpleResponse"),
      requestStream: false,
      responseStream: false,
    },
    streamingOutputCall: {
      ...method("StreamingOutputCall", ["StreamingOutputCallRequest", outputRequest], "StreamingOutputCallResponse"),
      requestStream: false,
      responseStream: true,
    },
    streamingInputCall: {
      ...method("StreamingInputCall", ["StreamingInputCallRequest", inputRequest], "StreamingInputCallResponse"),
      requestStream: true,
      responseStream: false,
    },
    fullDuplexCall: {
      ...method("FullDuplexCall", ["StreamingOutputCallRequest", outputRequest], "StreamingOutputCallResponse"),
      requestStream: true,
      responseStream: true,
    },
  },
} as const;

export const interopService: Service = definePartOfService(DEFINITION, {
  emptyCall: async () => ({}),
  unaryCall: async ({ responseSize, responseStatus }) => {
    echo(responseStatus);
    return { payload: { body: Buffer.alloc(responseSize) } };
  },
  streamingOutputCall: (request, call) => sendAll(request, call),
  streamingInputCall: async (requests, call) => {
    let aggregatedPayloadSize = 0;
    for await (const request of requests) aggregatedPayloadSize += request.payload?.body?.length ?? 0;
    await call.send({ aggregatedPayloadSize });
  },
  fullDuplexCall: async (requests, call) => {
    for await (const request of requests) {
      echo(request.responseStatus);
      await sendAll(request, call);
    }
  },
});

function echo(wanted: z.infer<typeof echoStatus>): void {
  const code = Object.values(Status).find((known) => known === wanted?.code);
  if (code !== undefined && code !== Status.OK) throw new GrpcError(code, wanted?.message ?? "");
}

async function sendAll(
  { responseParameters }: z.infer<typeof outputRequest>,
  call: StreamCall<Record<string, unknown>>,
): Promise<void> {
  for (const { size, intervalUs } of responseParameters) {
    // The client asks for pauses: it is what it tests.
    if (intervalUs > 0) await new Promise((resolve) => setTimeout(resolve, intervalUs / 1_000));
    await call.send({ payload: { body: Buffer.alloc(size) } });
  }
}
