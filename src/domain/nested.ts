/** Very many puts as one transaction, within what etcd lets one have. */
import { MAX_TXN_OPERATIONS } from "../base/limits.ts";
import type { Operation } from "../engine/model.ts";

/**
 * The operations nested as deep as there are many of them: what the longest list on the way has counts against each list
 * within (etcd's checkTxnRequest), so each level gets its share of the limit.
 */
export function nested(operations: readonly Operation[]): readonly Operation[] {
  if (operations.length <= MAX_TXN_OPERATIONS) return operations;
  let levels = 2;
  while (Math.floor(MAX_TXN_OPERATIONS / levels) ** levels < operations.length) levels++;
  const share = Math.floor(MAX_TXN_OPERATIONS / levels);
  let parts = operations;
  for (let level = 1; level < levels; level++) {
    const next: Operation[] = [];
    for (let from = 0; from < parts.length; from += share) {
      const success = parts.slice(from, from + share);
      next.push({ kind: "txn", request: { compares: [], success, failure: [] } });
    }
    parts = next;
  }
  return parts;
}
