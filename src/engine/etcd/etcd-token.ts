import type { CallContext, EtcdEndpoint } from "./etcd-endpoint.ts";
import { failureOf } from "./etcd-errors.ts";
import { AUTHENTICATE } from "./etcd-methods.ts";
import type { EtcdStoreOptions } from "./etcd-options.ts";

/** The token that etcd gave for a name and password; a new one when it has become stale. */
export class EtcdToken {
  readonly #user: EtcdStoreOptions["user"];
  #token: string | undefined;
  #asking: Promise<void> | undefined;

  constructor(user: EtcdStoreOptions["user"]) {
    this.#user = user;
  }

  /** Undefined where there is no user, or etcd has no authentication. Rejects as a call does; nothing else was sent then. */
  async of(endpoint: EtcdEndpoint, timeoutMs: number): Promise<string | undefined> {
    if (this.#user === undefined || this.#token !== undefined) {
      return this.#token;
    }
    // One asks for all who need it; each of them has at least tried as long as it may itself.
    this.#asking ??= this.#ask(endpoint, { token: undefined, timeoutMs }).finally(() => {
      this.#asking = undefined;
    });
    await this.#asking;
    return this.#token;
  }

  /** Says that `token` is refused: unless there is a newer one already, the next to ask gets one. */
  renew(token: string | undefined): void {
    if (this.#token === token) {
      this.#token = undefined;
    }
  }

  async #ask(endpoint: EtcdEndpoint, context: CallContext): Promise<void> {
    const { name, password } = this.#user ?? { name: "", password: "" };
    try {
      this.#token = (await endpoint.unary(AUTHENTICATE, { name, password }, context)).token;
    } catch (error) {
      if (!failureOf(error).error.message.includes("authentication is not enabled")) {
        throw error;
      }
      // Calls without a token are right, until somebody turns authentication on: then they are refused, and one is asked for.
      this.#token = undefined;
    }
  }
}
