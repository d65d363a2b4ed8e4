/**
 * What stands in for authentication on the client listener. Loopback is no boundary against web pages: a page may send
 * requests to 127.0.0.1 (foreign Origin), or have its own name point there and read the answers too (DNS rebinding).
 */
import { isIP } from "node:net";
import { hostname } from "node:os";
import type { Log } from "../base/log.ts";
import { parseHost } from "./host.ts";

/** Takes requests for names that are this machine's, and none that another site's page sent. */
export class ClientGuard {
  readonly #names: ReadonlySet<string>;
  readonly #log: Log;
  readonly #logged = new Set<string>();

  constructor(options: { readonly allowedHosts: readonly string[]; readonly log: Log }) {
    this.#names = new Set(["localhost", hostname().toLowerCase(), ...options.allowedHosts]);
    this.#log = options.log;
  }

  /**
   * Why the request is refused, in a sentence that says what to do; undefined where it is not. The Host header counts
   * as it came, never what a proxy forwards: a page can set X-Forwarded-Host.
   */
  refusal({ headers: { host, origin } }: GuardedRequest): string | undefined {
    // Only HTTP/1.0 comes without a Host, and no browser speaks that.
    if (host !== undefined && !this.#isKnown(host)) {
      this.#logOnce("host", { host });
      return `Use an IP address or localhost, or start muster with --client-allowed-host NAME: Host "${host}" is not a name that this listener knows`;
    }
    if (origin !== undefined && !isSameSite(origin, host)) {
      this.#logOnce("origin", { origin });
      return `Send requests from programs or from this address's own pages: Origin "${origin}" is another site`;
    }
    return undefined;
  }

  #isKnown(host: string): boolean {
    const name = parseHost(host)?.name;
    return name !== undefined && (isIP(name) !== 0 || this.#names.has(name));
  }

  /** Once for each kind: a page that tries does so many times a second. */
  #logOnce(kind: string, fields: object): void {
    if (this.#logged.has(kind)) return;
    this.#logged.add(kind);
    this.#log.warn(fields, `client listener: refused a foreign ${kind}; further ones are not logged`);
  }
}

/** What of a request counts. */
export interface GuardedRequest {
  readonly headers: { readonly host?: string | undefined; readonly origin?: string | undefined };
}

function isSameSite(origin: string, host: string | undefined): boolean {
  return /^https?:/.test(origin) && URL.canParse(origin) && new URL(origin).host === host?.toLowerCase();
}
