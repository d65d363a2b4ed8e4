/**
 * Tells the log why TLS handshakes fail: a node that speaks in clear, or does not trust the certificate, says of it no
 * more than that it cannot connect. Each reason is told once in a while: anybody may fail as often as they like.
 */
import type { Clock } from "../base/clock.ts";
import { FAILED_HANDSHAKE_INTERVAL_MS } from "../base/limits.ts";
import type { Log } from "../base/log.ts";

/** What Node says of a handshake that failed. */
export interface HandshakeError extends NodeJS.ErrnoException {
  /** OpenSSL's words, such as `http request`, where it was OpenSSL that found fault. */
  readonly reason?: string;
}

export class FailedHandshakes {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #log: Log;
  readonly #listener: string;
  /** By the error's code, of which OpenSSL and Node have some hundred: when it was told last, and how often it came since. */
  readonly #told = new Map<string, { readonly at: number; suppressed: number }>();

  /** `listener`: the address that is listened on, as the operator gave it. */
  constructor(options: { readonly clock: Pick<Clock, "monotonic">; readonly log: Log; readonly listener: string }) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#listener = options.listener;
  }

  /** A handshake of a client at `address` failed. */
  tell({ code = "", reason, message }: HandshakeError, address: string): void {
    const now = this.#clock.monotonic();
    const before = this.#told.get(code);
    if (before !== undefined && now - before.at < FAILED_HANDSHAKE_INTERVAL_MS) {
      before.suppressed++;
      return;
    }
    this.#told.set(code, { at: now, suppressed: 0 });
    const more = before === undefined || before.suppressed === 0 ? {} : { suppressed: before.suppressed };
    this.#log.warn({ reason: reason ?? message, address, listener: this.#listener, ...more }, inWords(code));
  }
}

function inWords(code: string): string {
  return IN_WORDS.find(([codes]) => codes.test(code))?.[1] ?? "a TLS handshake failed";
}

const IN_WORDS: readonly (readonly [codes: RegExp, words: string])[] = [
  [/^ERR_SSL_HTTP_REQUEST$/, "a client spoke HTTP in clear to a listener with TLS: let its URL begin with https://"],
  [
    /^ERR_SSL_WRONG_VERSION_NUMBER$/,
    "a client spoke no TLS to a listener with TLS, perhaps gRPC in clear: let its endpoints begin with https://",
  ],
  [
    /_ALERT_(?:UNKNOWN_CA|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_(?:UNKNOWN|EXPIRED|REVOKED))$/,
    "a client does not take the certificate: let it trust who signed it, and reach Muster by a name that is in it",
  ],
  [/^ECONNRESET$/, "a client broke off a TLS handshake, perhaps because it does not trust the certificate"],
];
