import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";

/** Where the etcd is, and how much of it is Muster's. */
export interface EtcdStoreOptions {
  /** `host:port` of each member, in the order in which they are tried. */
  readonly endpoints: readonly string[];
  /** Given (empty, too): TLS. `ca` in PEM, in place of the system's; `cert` and `key` in PEM, for client certificates. */
  readonly tls?: { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer };
  readonly user?: { readonly name: string; readonly password: string };
  /** Every key of Muster's begins with it; "": the whole etcd is Muster's, and nobody else's. */
  readonly prefix: string;
  readonly clock: Clock;
  readonly log: Log;
}
