/** The Cluster service: the one member, and why it cannot be changed. What etcd finds wrong with a request comes first. */
import type { CallPeer } from "../../grpc/call.ts";
import { GrpcError } from "../../grpc/grpc-error.ts";
import { defineService, type Service } from "../../grpc/service.ts";
import { Status } from "../../grpc/status.ts";
import { ClusterDefinition, type Member } from "../../proto/etcdserverpb.ts";
import { etcdError, toGrpcError } from "./errors.ts";
import type { Headers } from "./header.ts";

export interface ClusterOptions {
  readonly headers: Headers;
  readonly memberName: string;
  /** What clients are told to connect to (--advertise-client-urls); none: the address that the call came by. */
  readonly advertiseClientUrls: readonly string[];
  /** Whether the store is an etcd, which has members of its own. */
  readonly isRemote: boolean;
}

const FIXED =
  "Leave the members as they are: Muster is one process and always a cluster of one member, which cannot be changed";

const ETCD_MEMBERS =
  "Change the members of the etcd behind this Muster with etcdctl there: Muster itself is always a cluster of one member";

/** The service of a cluster of one. */
export function clusterService(options: ClusterOptions): Service {
  const { headers } = options;
  const fixed = () => new GrpcError(Status.FAILED_PRECONDITION, options.isRemote ? ETCD_MEMBERS : FIXED);
  const own = (peer: CallPeer): Member => memberFor(peer, options);
  return defineService(
    ClusterDefinition,
    {
      // As etcd's, its header has no revision.
      memberList: async (_request, { peer }) => ({ header: headers.at(0), members: [own(peer)] }),
      memberAdd: async ({ peerURLs }) => {
        if (!areUrls(peerURLs)) throw etcdError("memberBadUrls");
        throw fixed();
      },
      memberRemove: async ({ ID }) => {
        mustBeMember(ID, headers);
        throw fixed();
      },
      memberUpdate: async ({ ID }) => {
        mustBeMember(ID, headers);
        throw fixed();
      },
      memberPromote: async ({ ID }) => {
        mustBeMember(ID, headers);
        throw etcdError("memberNotLearner");
      },
    },
    { toGrpcError },
  );
}

/**
 * The member as the client of this call may reach it: clients that look for members go on with the URLs that they find
 * here. There are no peers; some clients want at least one URL there, so these are the client URLs.
 */
function memberFor(peer: CallPeer, { headers, memberName, advertiseClientUrls }: ClusterOptions): Member {
  const clientURLs =
    advertiseClientUrls.length > 0 || peer.host === undefined ? advertiseClientUrls : [`${peer.scheme}://${peer.host}`];
  return { ID: headers.memberId, name: memberName, peerURLs: clientURLs, clientURLs, isLearner: false };
}

function mustBeMember(id: bigint, headers: Headers): void {
  if (id !== headers.memberId) throw etcdError("memberNotFound");
}

/** Whether etcd would take these as peer URLs (client/pkg/types/urls.go): a scheme, a host, a port, and no path. */
function areUrls(urls: readonly string[]): boolean {
  return urls.length > 0 && urls.every((url) => /^(?:https?|unixs?):\/\/[^/]*:\d+$/.test(url.trim()));
}
