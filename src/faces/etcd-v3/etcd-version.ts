/**
 * The release of etcd that v3 clients are told of: the first of those whose API this is. Clients choose by it what they
 * may ask for (Kubernetes asks for progress from 3.4.31, 3.5.13 and 3.6.0 on); see docs/decisions/0011.
 */
export const ETCD_VERSION = "3.7.0";
