/** What a store refuses, whichever request asks for it. */
import type { Bytes } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import type { LeaseId, Revision } from "../model.ts";
import type { State } from "./lmdb-schema.ts";

/** The revision that a range asks for, checked. Errors: `compacted` (details.compactRevision), `futureRevision`. */
export function checkRevision(asked: Revision, state: State): void {
  if (asked > state.revision) {
    throw new MusterError(
      "futureRevision",
      `Ask for a revision that has happened: "${asked}" is beyond ${state.revision}`,
      {
        details: { revision: state.revision },
      },
    );
  }
  if (asked < state.compactRevision) {
    throw compacted(asked, state.compactRevision);
  }
}

/** The error for a revision that is forgotten. */
export function compacted(asked: Revision, compactRevision: Revision): MusterError {
  return new MusterError(
    "compacted",
    `Ask for a later revision: "${asked}" is forgotten, the store is compacted to ${compactRevision}`,
    { details: { compactRevision } },
  );
}

/** The error for a lease that is unknown or has ended. */
export function leaseNotFound(id: LeaseId): MusterError {
  return new MusterError("leaseNotFound", `Grant a lease first: there is none with the ID "${id}"`);
}

/** The error for a put that keeps what there is, where there is nothing. */
export function keyNotFound(key: Bytes): MusterError {
  const name = Buffer.from(key).toString();
  return new MusterError("keyNotFound", `Put a value and a lease: there is no key "${name}" to keep them from`);
}
