import { systemClock } from "../../src/base/clock.ts";
import { createLog, type LogLevel } from "../../src/base/log.ts";
import type { Exchange, HttpFace } from "../../src/faces/face.ts";
import type { Service as GrpcService } from "../../src/grpc/service.ts";
import { type Config, loadConfig } from "../../src/server/config.ts";
import { Service } from "../../src/server/service.ts";

export interface TestServiceOptions {
  readonly publicFaces?: readonly HttpFace[];
  readonly clientFaces?: readonly HttpFace[];
  readonly publicServices?: readonly GrpcService[];
  readonly clientServices?: readonly GrpcService[];
  readonly config?: Partial<Config>;
  readonly logLevel?: LogLevel;
}

export interface TestService extends AsyncDisposable {
  readonly service: Service;
  readonly publicUrl: string;
  readonly clientUrl: string;
  /** The lines logged so far. */
  log(): string;
}

/** A face that serves every path, or those that `claims` names, by a function. */
export function faceOf(handle: (exchange: Exchange) => Promise<void>, claims?: (path: string) => boolean): HttpFace {
  return { name: "test", claims: claims ?? (() => true), handle };
}

/** A face whose answers never come before its exchange is over, as a long poll's. */
export function waitingFace(onWait: () => void = () => undefined): HttpFace {
  return faceOf(
    ({ signal }) =>
      new Promise((resolve) => {
        if (signal.aborted) resolve();
        signal.addEventListener("abort", () => resolve(), { once: true });
        onWait();
      }),
  );
}

/** A configuration on free ports of 127.0.0.1. */
export function testConfig(changes: Partial<Config> = {}): Config {
  const anyPort = { host: "127.0.0.1", port: 0, text: "127.0.0.1:0" };
  return { ...loadConfig({ flags: {}, env: {} }), listen: [anyPort], clientListen: [anyPort], ...changes };
}

/** The server in this process with faces of the test's own and no store. */
export async function startTestService(options: TestServiceOptions = {}): Promise<TestService> {
  const lines: string[] = [];
  const service = await Service.start({
    config: testConfig(options.config),
    log: createLog({
      level: options.logLevel ?? "info",
      format: "json",
      destination: { write: (line: string) => lines.push(line) },
    }),
    clock: systemClock,
    compose: () =>
      Promise.resolve({
        publicFaces: options.publicFaces ?? [],
        clientFaces: options.clientFaces ?? [],
        publicServices: options.publicServices ?? [],
        clientServices: options.clientServices ?? [],
        close: () => Promise.resolve(),
      }),
  });
  const { publicUrls, clientUrls } = service.addresses;
  return {
    service,
    publicUrl: publicUrls[0] ?? "",
    clientUrl: clientUrls[0] ?? "",
    log: () => lines.join(""),
    [Symbol.asyncDispose]: () => service.stop(),
  };
}
