/** The running service: what compose.ts built, behind its listeners. Started in order, stopped in the other. */
import type { MachineClock } from "../base/clock.ts";
import { DRAIN_MS, GRPC_OVERHEAD_BYTES, MAX_CLIENT_HEADER_BYTES, MAX_HEADER_BYTES } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { Traffic } from "../base/traffic.ts";
import type { HttpFace } from "../faces/face.ts";
import { GrpcError } from "../grpc/grpc-error.ts";
import { GrpcServer } from "../grpc/grpc-server.ts";
import type { Service as GrpcService } from "../grpc/service.ts";
import { Status } from "../grpc/status.ts";
import type { RequestFields } from "../http2/server-stream.ts";
import { ClientGuard } from "./client-guard.ts";
import type { Config } from "./config.ts";
import type { ListenAddress } from "./config-values.ts";
import { parseHost } from "./host.ts";
import { HttpEdge } from "./http-edge.ts";
import { Listener } from "./listener.ts";

/** The faces and gRPC services of each kind of listener, and what ends everything behind them. */
export interface Composition {
  readonly publicFaces: readonly HttpFace[];
  readonly clientFaces: readonly HttpFace[];
  readonly publicServices: readonly GrpcService[];
  readonly clientServices: readonly GrpcService[];
  /** What the public listener says to a call of a method that is not among its services; without it UNIMPLEMENTED. */
  readonly publicRefusal?: (path: string) => GrpcError;
  /** Where what is answered is counted. */
  readonly traffic?: Traffic;
  /** What the operator should know of the store as it was found, a line each. */
  readonly warnings?: readonly string[];
  close(): Promise<void>;
}

export interface ServiceOptions {
  readonly config: Config;
  readonly log: Log;
  readonly clock: MachineClock;
  readonly compose: (parts: {
    readonly config: Config;
    readonly log: Log;
    readonly clock: MachineClock;
  }) => Promise<Composition>;
}

export interface Addresses {
  /** URLs with the ports that were chosen. */
  readonly publicUrls: readonly string[];
  readonly clientUrls: readonly string[];
}

export class Service {
  readonly addresses: Addresses;
  /** What ends waits and streams when it is stopped. */
  readonly #entrances: readonly { stop(): void }[];
  readonly #listeners: readonly Listener[];
  readonly #composition: Composition;

  private constructor(composition: Composition, entrances: readonly { stop(): void }[], opened: Opened) {
    this.#composition = composition;
    this.#entrances = entrances;
    this.#listeners = [...opened.publicListeners, ...opened.clientListeners];
    this.addresses = {
      publicUrls: opened.publicListeners.map((listener) => listener.url),
      clientUrls: opened.clientListeners.map((listener) => listener.url),
    };
  }

  /**
   * Opens the store first, the listeners last: nobody is answered by half a service. Whatever fails, what was opened is
   * closed again. Errors: those of the engine's opening; `addressInUse`, `configInvalid` (see Listener.open).
   */
  static async start(options: ServiceOptions): Promise<Service> {
    const { config, log } = options;
    const composition = await options.compose(options);
    const opened: Opened = { publicListeners: [], clientListeners: [] };
    const entrances = buildEntrances(options, composition);
    if (composition.traffic !== undefined) tellTraffic(composition.traffic, entrances);
    const service = () => new Service(composition, Object.values(entrances), opened);
    try {
      const { maxConnections, trustProxy, tls } = config;
      const shared = { maxConnections, trustProxy, tls, clock: options.clock, log };
      const { publicEdge, clientEdge, publicGrpc, clientGrpc } = entrances;
      const forPublic = { ...shared, ...PUBLIC, ...takenBy(publicEdge), grpc: publicGrpc };
      const forClients = { ...shared, ...CLIENTS, ...takenBy(clientEdge), grpc: clientGrpc };
      await openAll(config.listen, forPublic, opened.publicListeners);
      await openAll(config.clientListen, forClients, opened.clientListeners);
    } catch (error) {
      await service().stop();
      throw error;
    }
    return service();
  }

  /** What the operator should know of the store as it was found, a line each. */
  get warnings(): readonly string[] {
    return this.#composition.warnings ?? [];
  }

  /** Ends waits, lets requests under way finish for DRAIN_MS, cuts off the rest, then closes the store. */
  async stop(): Promise<void> {
    const closing = this.#listeners.map((listener) => listener.close(DRAIN_MS));
    for (const entrance of this.#entrances) entrance.stop();
    await Promise.all(closing);
    await this.#composition.close();
  }
}

interface Entrances {
  readonly publicEdge: HttpEdge;
  readonly clientEdge: HttpEdge;
  readonly publicGrpc: GrpcServer;
  readonly clientGrpc: GrpcServer;
}

function takenBy({ handle, answered }: HttpEdge): Pick<HttpEdge, "handle" | "answered"> {
  return { handle, answered };
}

function tellTraffic(traffic: Traffic, { publicEdge, clientEdge, publicGrpc, clientGrpc }: Entrances): void {
  const add = (listener: string, edge: HttpEdge, grpc: GrpcServer) => {
    traffic.add({ listener, protocol: "http", answered: edge.answered, open: () => edge.openWaits });
    traffic.add({ listener, protocol: "grpc", answered: grpc.answered, open: () => grpc.openCalls });
  };
  add("public", publicEdge, publicGrpc);
  add("client", clientEdge, clientGrpc);
}

/** Where requests of each kind of listener enter. */
function buildEntrances({ config, log }: ServiceOptions, composition: Composition): Entrances {
  const limits = { log, trustProxy: config.trustProxy, maxBodyBytes: config.maxRequestBytes };
  const guard = new ClientGuard({ allowedHosts: config.clientAllowedHosts, log });
  const grpcLimits = {
    log: log.child({ part: "grpc" }),
    maxMessageBytes: config.maxRequestBytes + GRPC_OVERHEAD_BYTES,
  };
  const { publicRefusal } = composition;
  const unknown = publicRefusal === undefined ? {} : { unknownMethod: publicRefusal };
  return {
    publicEdge: new HttpEdge({ ...limits, faces: composition.publicFaces }),
    clientEdge: new HttpEdge({ ...limits, faces: composition.clientFaces, guard }),
    publicGrpc: new GrpcServer({ ...grpcLimits, services: composition.publicServices, ...unknown }),
    clientGrpc: new GrpcServer({
      ...grpcLimits,
      services: composition.clientServices,
      refusal: (fields) => foreignCall(guard, fields),
    }),
  };
}

/**
 * What the guard has against a call. An authority that is no host and port counts as none: no browser sends such a one,
 * and clients of gRPC may.
 */
function foreignCall(guard: ClientGuard, fields: RequestFields): GrpcError | undefined {
  const authority = fields[":authority"];
  const host = parseHost(authority) === undefined ? undefined : authority;
  const foreign = guard.refusal({ headers: { host, origin: fields.origin } });
  return foreign === undefined ? undefined : new GrpcError(Status.PERMISSION_DENIED, foreign);
}

interface Opened {
  readonly publicListeners: Listener[];
  readonly clientListeners: Listener[];
}

const PUBLIC = { option: "--listen", maxHeaderBytes: MAX_HEADER_BYTES } as const;
const CLIENTS = { option: "--client-listen", maxHeaderBytes: MAX_CLIENT_HEADER_BYTES } as const;

type SharedListenerOptions = Omit<Parameters<typeof Listener.open>[0], "address">;

async function openAll(
  addresses: readonly ListenAddress[],
  shared: SharedListenerOptions,
  into: Listener[],
): Promise<void> {
  for (const address of addresses) into.push(await Listener.open({ ...shared, address }));
}
