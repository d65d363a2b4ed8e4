/**
 * What the calls of one connection make the server keep for their client: of requests what has come before they are
 * whole, of answers what the client does not read. Windows of HTTP/2 bound neither: a client may have thousands of calls
 * open, and ask with a few bytes for answers of many MB.
 */
import { MAX_CONNECTION_KEPT_BYTES, UNCOUNTED_CALL_BYTES } from "../base/limits.ts";
import { GrpcError } from "./grpc-error.ts";
import { Status } from "./status.ts";

class ConnectionLoad {
  #bytes = 0;

  /** Lets a call keep another number of bytes. A call that is alone may keep any: it has bounds of its own. */
  change(before: number, after: number): void {
    const bytes = this.#bytes - before + after;
    if (after > before && bytes > MAX_CONNECTION_KEPT_BYTES && bytes > after) throw tooMuch();
    this.#bytes = bytes;
  }
}

const loads = new WeakMap<object, ConnectionLoad>();

/** The part of one call. */
export class CallLoad {
  readonly #connection: ConnectionLoad;
  #bytes = 0;

  /** `connection` is the same object for all calls of one. */
  constructor(connection: object) {
    this.#connection = loadOf(connection);
  }

  /**
   * Counts how much the call makes the server keep from now on, in bytes; little counts as nothing.
   * @throws GrpcError RESOURCE_EXHAUSTED where that is too much for its connection; then the count stays as it was
   */
  set(bytes: number): void {
    const counted = bytes > UNCOUNTED_CALL_BYTES ? bytes : 0;
    if (counted === this.#bytes) return;
    this.#connection.change(this.#bytes, counted);
    this.#bytes = counted;
  }

  /** Counts so much more; see `set`. */
  add(bytes: number): void {
    this.set(this.#bytes + bytes);
  }
}

function loadOf(connection: object): ConnectionLoad {
  const load = loads.get(connection) ?? new ConnectionLoad();
  loads.set(connection, load);
  return load;
}

function tooMuch(): GrpcError {
  const most = MAX_CONNECTION_KEPT_BYTES / 1024 / 1024;
  const message = `Read answers and finish requests, or use more connections: the server keeps ${most} MiB for this one`;
  return new GrpcError(Status.RESOURCE_EXHAUSTED, message);
}
