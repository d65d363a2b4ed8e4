import { Client, credentials } from "@grpc/grpc-js";
import { compareBytes } from "../../src/base/bytes.ts";
import { MusterError } from "../../src/base/errors.ts";
import type { Engine, EngineStatus, Watch } from "../../src/engine/engine.ts";
import type {
  LeaseGrant,
  LeaseId,
  LeaseStatus,
  RangeRequest,
  RangeResult,
  Revision,
  TxnRequest,
  TxnResult,
  WatchRequest,
} from "../../src/engine/model.ts";
import { EtcdConvert } from "./etcd-convert.ts";
import { EtcdWatch } from "./etcd-watch.ts";
import {
  duplex,
  fromWire,
  headerResponse,
  leaseGrantResponse,
  leaseKeepAliveResponse,
  leaseLeasesResponse,
  leaseTimeToLiveResponse,
  rangeResponse,
  txnResponse,
  unary,
} from "./etcd-wire.ts";

const ANY_KEY = Uint8Array.of(0);

/**
 * The Engine contract on a real etcd, for tests only: it takes the whole etcd for itself, one engine at a time, and
 * begins by deleting everything. Revisions are shifted so that the emptied store is at 1.
 */
export async function openEtcdEngine(address: string): Promise<Engine> {
  const client = new Client(address, credentials.createInsecure());
  const { leases } = await unary(client, ["Lease", "LeaseLeases", leaseLeasesResponse], {});
  for (const lease of leases) {
    await unary(client, ["Lease", "LeaseRevoke", headerResponse], { ID: lease.ID.toString() });
  }
  // The put makes sure that the deletion makes a revision, beyond whatever was compacted before.
  await unary(client, ["KV", "Txn", txnResponse], { success: [{ request_put: { key: ANY_KEY } }] });
  const emptied = await unary(client, ["KV", "Txn", txnResponse], {
    success: [{ request_delete_range: { key: ANY_KEY, range_end: ANY_KEY } }],
  });
  return new EtcdEngine(client, new EtcdConvert(emptied.header.revision));
}

class EtcdEngine implements Engine {
  readonly #client: Client;
  readonly #convert: EtcdConvert;
  readonly #watches = new Set<EtcdWatch>();
  #compactRevision: Revision = 0;
  #closed = false;

  constructor(client: Client, convert: EtcdConvert) {
    this.#client = client;
    this.#convert = convert;
  }

  async range(request: RangeRequest): Promise<RangeResult> {
    await this.#enter();
    return this.#convert.rangeResult(
      await unary(this.#client, ["KV", "Range", rangeResponse], this.#convert.range(request)),
    );
  }

  async txn(request: TxnRequest): Promise<TxnResult> {
    await this.#enter();
    const answer = await unary(this.#client, ["KV", "Txn", txnResponse], this.#convert.txn(request));
    return {
      revision: this.#convert.fromWire(answer.header.revision),
      succeeded: answer.succeeded,
      results: answer.responses.map((response) => this.#convert.operationResult(response)),
    };
  }

  watch(request: WatchRequest): Watch {
    if (this.#closed) {
      throw new MusterError("closed", "open the engine again: it was closed");
    }
    if (request.key.length === 0 && request.end === undefined) {
      // etcd takes it for the key "\0"; the contract is stricter, as etcd is with every other request.
      throw new MusterError("invalidArgument", 'give a key, not "": only the start of a range may be empty');
    }
    const watch = new EtcdWatch(duplex(this.#client, "Watch", "Watch"), this.#convert, request);
    this.#watches.add(watch);
    return watch;
  }

  async compact(revision: Revision): Promise<void> {
    await this.#enter();
    const request = { revision: this.#convert.toWire(revision), physical: true };
    await unary(this.#client, ["KV", "Compact", headerResponse], request);
    this.#compactRevision = revision;
  }

  async status(): Promise<EngineStatus> {
    const { revision } = await this.range({ key: ANY_KEY });
    return { revision, compactRevision: this.#compactRevision };
  }

  async grantLease(request: { readonly id: LeaseId; readonly ttl: number }): Promise<LeaseGrant> {
    await this.#enter();
    const wire = { ID: request.id.toString(), TTL: request.ttl };
    const granted = await unary(this.#client, ["Lease", "LeaseGrant", leaseGrantResponse], wire);
    return { id: granted.ID, ttl: granted.TTL };
  }

  async revokeLease(id: LeaseId): Promise<{ readonly revision: Revision }> {
    await this.#enter();
    const answer = await unary(this.#client, ["Lease", "LeaseRevoke", headerResponse], { ID: id.toString() });
    return { revision: this.#convert.fromWire(answer.header.revision) };
  }

  async keepLeaseAlive(id: LeaseId): Promise<number> {
    await this.#enter();
    const stream = duplex(this.#client, "Lease", "LeaseKeepAlive");
    try {
      const answer = await new Promise((resolve, reject) => {
        stream.once("data", resolve).once("error", (error: Parameters<typeof fromWire>[0]) => reject(fromWire(error)));
        stream.write({ ID: id.toString() });
      });
      return leftOf(id, leaseKeepAliveResponse.parse(answer).TTL);
    } finally {
      stream.on("error", () => {}).end();
    }
  }

  async leaseStatus(id: LeaseId, options: { readonly keys: boolean }): Promise<LeaseStatus> {
    await this.#enter();
    const request = { ID: id.toString(), keys: options.keys };
    const answer = await unary(this.#client, ["Lease", "LeaseTimeToLive", leaseTimeToLiveResponse], request);
    if (answer.grantedTTL === 0) {
      throw leaseNotFound(id);
    }
    const keys = answer.keys.sort(compareBytes);
    return { id: answer.ID, grantedTtl: answer.grantedTTL, ttl: answer.TTL, keys };
  }

  async leases(): Promise<readonly LeaseId[]> {
    await this.#enter();
    const { leases } = await unary(this.#client, ["Lease", "LeaseLeases", leaseLeasesResponse], {});
    return leases.map((lease) => lease.ID).sort((a, b) => (a < b ? -1 : 1));
  }

  async probe(): Promise<void> {
    await this.status();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const watch of this.#watches) {
      watch.close();
    }
    this.#client.close();
  }

  /** A watch stands once `watch()` has returned: whatever is asked next waits until etcd says so too. */
  async #enter(): Promise<void> {
    if (this.#closed) {
      throw new MusterError("closed", "open the engine again: it was closed");
    }
    await Promise.all([...this.#watches].map((watch) => watch.standing));
  }
}

/** etcd answers a keep-alive of an unknown lease with a time of 0. */
function leftOf(id: LeaseId, ttl: number): number {
  if (ttl <= 0) {
    throw leaseNotFound(id);
  }
  return ttl;
}

function leaseNotFound(id: LeaseId): MusterError {
  return new MusterError("leaseNotFound", `grant the lease first, "${id}": there is none of this ID`);
}
