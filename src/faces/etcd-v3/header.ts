/** The header of every answer: who answers, and the store's revision. */
import type { Revision } from "../../engine/model.ts";
import type { ResponseHeader } from "../../proto/etcdserverpb.ts";

/** Nothing is ever elected here. It is the term in which a new etcd of one member serves. */
export const RAFT_TERM = 2;

export interface HeaderOptions {
  readonly clusterId: bigint;
  readonly memberId: bigint;
}

export class Headers {
  readonly clusterId: bigint;
  readonly memberId: bigint;

  /** Both IDs must be the same on every start: clients take others for another cluster. */
  constructor({ clusterId, memberId }: HeaderOptions) {
    this.clusterId = clusterId;
    this.memberId = memberId;
  }

  /** The header of an answer at a revision; 0 where etcd's answer has none. */
  at(revision: Revision): ResponseHeader {
    return { clusterId: this.clusterId, memberId: this.memberId, revision, raftTerm: RAFT_TERM };
  }
}

/** The header within the answer to a transaction: as etcd's, it has no more than a revision. */
export function innerHeader(revision: Revision): ResponseHeader {
  return { clusterId: 0n, memberId: 0n, revision, raftTerm: 0 };
}
