/** What a store refuses, whichever request asks for it. */
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
