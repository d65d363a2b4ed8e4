/** The running service: what compose.ts built, behind its listeners. Started in order, stopped in the other. */
import type { MachineClock } from "../base/clock.ts";
import { DRAIN_MS } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { HttpFace } from "../faces/face.ts";
import { ClientGuard } from "./client-guard.ts";
import type { Config } from "./config.ts";
import type { ListenAddress } from "./config-values.ts";
import { HttpEdge } from "./http-edge.ts";
import { Listener } from "./listener.ts";

/** The faces of each kind of listener, and what ends everything behind them. */
export interface Composition {
  readonly publicFaces: readonly HttpFace[];
  readonly clientFaces: readonly HttpFace[];
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
  readonly #edges: readonly HttpEdge[];
  readonly #listeners: readonly Listener[];
  readonly #composition: Composition;

  private constructor(composition: Composition, edges: readonly HttpEdge[], opened: Opened) {
    this.#composition = composition;
    this.#edges = edges;
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
    const limits = { log, trustProxy: config.trustProxy, maxBodyBytes: config.maxRequestBytes };
    const guard = new ClientGuard({ allowedHosts: config.clientAllowedHosts, log });
    const publicEdge = new HttpEdge({ ...limits, faces: composition.publicFaces });
    const clientEdge = new HttpEdge({ ...limits, faces: composition.clientFaces, guard });
    const service = () => new Service(composition, [publicEdge, clientEdge], opened);
    try {
      const shared = { maxConnections: config.maxConnections, log };
      const forPublic = { ...shared, option: "--listen", handle: publicEdge.handle };
      const forClients = { ...shared, option: "--client-listen", handle: clientEdge.handle };
      await openAll(config.listen, forPublic, opened.publicListeners);
      await openAll(config.clientListen, forClients, opened.clientListeners);
    } catch (error) {
      await service().stop();
      throw error;
    }
    return service();
  }

  /** Ends waits, lets requests under way finish for DRAIN_MS, cuts off the rest, then closes the store. */
  async stop(): Promise<void> {
    const closing = this.#listeners.map((listener) => listener.close(DRAIN_MS));
    for (const edge of this.#edges) edge.stop();
    await Promise.all(closing);
    await this.#composition.close();
  }
}

interface Opened {
  readonly publicListeners: Listener[];
  readonly clientListeners: Listener[];
}

type SharedListenerOptions = Omit<Parameters<typeof Listener.open>[0], "address">;

async function openAll(
  addresses: readonly ListenAddress[],
  shared: SharedListenerOptions,
  into: Listener[],
): Promise<void> {
  for (const address of addresses) into.push(await Listener.open({ ...shared, address }));
}
