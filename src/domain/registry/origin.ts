/** How a request came to the registry. */
export interface Origin {
  readonly protocol: "v2" | "v3";
  /** The client's IP address, as far as the server could tell. */
  readonly address: string;
  /** The `host[:port]` by which it reached Muster: nodes of one cluster that use different ones refuse each other. */
  readonly host: string | undefined;
  /** Stands for the connection; the same object for all of its requests. */
  readonly connection: object;
  /**
   * `public`: only tokens that exist can be written, and only below them, as nodes do. `client`: an operator, who may
   * make tokens by hand and take them away.
   */
  readonly scope: "public" | "client";
}
