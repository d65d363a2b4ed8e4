import { randomBytes } from "node:crypto";
import { type Bytes, compareBytes, NO_BYTES, prefixEnd, utf8 } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import {
  type LeaseGrant,
  type LeaseId,
  type LeaseStatus,
  NO_LEASE,
  type Operation,
  type Revision,
  type TxnRequest,
} from "../model.ts";
import type { EtcdChannel } from "./etcd-channel.ts";
import {
  LEASE_GRANT,
  LEASE_KEEP_ALIVE,
  LEASE_LEASES,
  LEASE_REVOKE,
  LEASE_TIME_TO_LIVE,
  RANGE,
  TXN,
} from "./etcd-methods.ts";
import { type LeaseNames, wireRange, wireTxn } from "./etcd-requests.ts";
import { revisionOf } from "./etcd-results.ts";
import { type EtcdSpace, LEASE_RECORDS } from "./etcd-space.ts";
import { spreadOfRange } from "./etcd-spread.ts";

/**
 * Leases. On a shared etcd each that is granted has a record (a key that hangs on it), and only those with one are
 * there for callers: those of others are theirs.
 */
export class EtcdLeases {
  readonly #channel: EtcdChannel;
  readonly #space: EtcdSpace;

  constructor(channel: EtcdChannel, space: EtcdSpace) {
    this.#channel = channel;
    this.#space = space;
  }

  async grant({ id, ttl }: { readonly id: LeaseId; readonly ttl: number }): Promise<LeaseGrant> {
    if (!Number.isSafeInteger(ttl)) {
      throw new MusterError("invalidArgument", `Give a whole number of seconds: "${ttl}" is none`);
    }
    const granted = await this.#channel.write(LEASE_GRANT, { ID: id, TTL: ttl });
    if (this.#space.isShared) {
      await this.#record(granted.ID);
    }
    return { id: granted.ID, ttl: granted.TTL };
  }

  async revoke(id: LeaseId): Promise<{ readonly revision: Revision }> {
    await this.#mustBeOurs(id);
    const { header } = await this.#channel.write(LEASE_REVOKE, { ID: id });
    return { revision: revisionOf(this.#space, header) };
  }

  async keepAlive(id: LeaseId): Promise<number> {
    await this.#mustBeOurs(id);
    const { TTL } = await this.#channel.readFirst(LEASE_KEEP_ALIVE, { ID: id });
    if (TTL <= 0) {
      // etcd answers a keep-alive of an unknown lease with a time of 0.
      throw notFound(id);
    }
    return TTL;
  }

  async status(id: LeaseId, options: { readonly keys: boolean }): Promise<LeaseStatus> {
    await this.#mustBeOurs(id);
    const answer = await this.#channel.read(LEASE_TIME_TO_LIVE, { ID: id, keys: options.keys });
    if (answer.grantedTTL <= 0) {
      throw notFound(id);
    }
    const record = this.#space.isShared ? recordOf(id) : undefined;
    const keys = answer.keys
      .filter((key) => !this.#space.isShared || this.#space.holds(key))
      .map((key) => this.#space.plainKey(key))
      .filter((key) => record === undefined || compareBytes(key, record) !== 0)
      .sort(compareBytes);
    return { id, grantedTtl: answer.grantedTTL, ttl: Math.max(answer.TTL, 0), keys };
  }

  async list(): Promise<readonly LeaseId[]> {
    const ids = this.#space.isShared
      ? await this.#recorded()
      : (await this.#channel.read(LEASE_LEASES, {})).leases.map(({ ID }) => ID);
    return [...ids].sort((a, b) => (a < b ? -1 : 1));
  }

  /**
   * How the leases that a transaction's puts name go over the wire: on a shared etcd one that is not ours by an ID that
   * no lease has, so that etcd says of it what it says of every unknown one, where the put is on the path that is taken.
   */
  async namesFor(request: TxnRequest): Promise<LeaseNames> {
    const ids = this.#space.isShared ? leasesIn(request) : new Set<LeaseId>();
    if (ids.size === 0) {
      return (id) => id;
    }
    const ours = new Set<LeaseId>();
    for (const id of ids) {
      if (await this.#isOurs(id)) ours.add(id);
    }
    const none = randomLease();
    return (id) => (ours.has(id) ? id : none);
  }

  async #record(id: LeaseId): Promise<void> {
    const put: Operation = { kind: "put", request: { key: recordOf(id), value: NO_BYTES, lease: id } };
    const request = wireTxn(this.#space, { compares: [], success: [put], failure: [] });
    try {
      await this.#channel.write(TXN, request);
    } catch (error) {
      // Nobody knows of the lease: without this it would only end when its time is over.
      await this.#channel.write(LEASE_REVOKE, { ID: id }).catch(() => undefined);
      throw error;
    }
  }

  async #recorded(): Promise<readonly LeaseId[]> {
    // Not the keys alone, though the values are empty: with those etcd 3.7 gives no lease.
    const range = wireRange(this.#space, { key: LEASE_RECORDS, end: prefixEnd(LEASE_RECORDS) });
    const { kvs } = await this.#channel.read(RANGE, range, spreadOfRange(range));
    return kvs.flatMap(({ key, lease }) => {
      const name = Buffer.from(this.#space.plainKey(key).subarray(LEASE_RECORDS.length)).toString("latin1");
      // A record that hangs on no lease, or on another, is not one of ours.
      return name === lease.toString() ? [lease] : [];
    });
  }

  async #mustBeOurs(id: LeaseId): Promise<void> {
    if (this.#space.isShared && !(await this.#isOurs(id))) {
      throw notFound(id);
    }
  }

  async #isOurs(id: LeaseId): Promise<boolean> {
    const { kvs } = await this.#channel.read(RANGE, wireRange(this.#space, { key: recordOf(id) }));
    return kvs[0]?.lease === id;
  }
}

function recordOf(id: LeaseId): Bytes {
  return Buffer.concat([LEASE_RECORDS, utf8(id.toString())]);
}

function leasesIn(request: TxnRequest): Set<LeaseId> {
  const ids = new Set<LeaseId>();
  for (const operation of [...request.success, ...request.failure]) {
    if (operation.kind === "put" && (operation.request.lease ?? NO_LEASE) !== NO_LEASE) {
      ids.add(operation.request.lease ?? NO_LEASE);
    } else if (operation.kind === "txn") {
      for (const id of leasesIn(operation.request)) ids.add(id);
    }
  }
  return ids;
}

/** One of 2^62: nobody has it. */
function randomLease(): LeaseId {
  return (randomBytes(8).readBigUInt64BE() >> 1n) | 1n;
}

function notFound(id: LeaseId): MusterError {
  return new MusterError("leaseNotFound", `Grant the lease first, "${id}": there is none of this ID`);
}
