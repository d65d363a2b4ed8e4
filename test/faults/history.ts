/** What clients did and were told during a fault run, for the checker. Times are the test's own monotonic ms. */

/** How a write went, as far as its client knows. */
export type WriteOutcome =
  /** Acknowledged, with the revision that it made. */
  | { readonly kind: "done"; readonly revision: number }
  /** Certainly not applied: a condition did not hold, or the server says that it took nothing. */
  | { readonly kind: "refused"; readonly why: string }
  /** No answer, or one that leaves it open. */
  | { readonly kind: "unknown"; readonly why: string };

interface Asked {
  /** Who asked: one request at a time. */
  readonly client: string;
  /** Which Muster was asked, and which of its processes. */
  readonly muster: string;
  readonly begun: number;
  readonly ended: number;
}

export interface Write extends Asked {
  readonly kind: "write";
  /** The v3 key; of a write whose key the server chooses, the directory with a slash at its end until it is known. */
  readonly key: string;
  /** No two writes have the same. */
  readonly value: string;
  /** The modRevision that it is to replace, 0: none. Absent: it is not conditional. */
  readonly replaces?: number;
  readonly outcome: WriteOutcome;
}

export interface Read extends Asked {
  readonly kind: "read";
  readonly key: string;
  /** What was found and the store's revision with it; absent where nobody knows. */
  readonly found?: Found;
}

export interface Found {
  /** The revision of the store that the answer tells. */
  readonly storeRevision: number;
  /** 0: there was no such key. */
  readonly modRevision: number;
  readonly value: string;
}

export type Operation = Write | Read;

/** Whether it is a write of which its client does not know whether it was applied. */
export function isOpen(operation: Operation): operation is Write {
  return operation.kind === "write" && operation.outcome.kind === "unknown";
}

/** A change of a key, as a client that watches was told or the store has it. */
export interface Change {
  readonly revision: number;
  readonly key: string;
  /** Undefined: deleted. */
  readonly value: string | undefined;
}

/** All that a client was told that followed a prefix, resuming after each lost connection. */
export interface Watching {
  readonly client: string;
  readonly prefix: string;
  /** The first revision that it asked for. */
  readonly from: number;
  readonly changes: readonly Change[];
  /** What ended it for good before its time. */
  readonly broken?: string;
}

/** A cluster that was to form. */
export interface Formation {
  /** The directory of its members' keys, with a slash at the end. */
  readonly directory: string;
  readonly size: number;
  readonly nodes: readonly FormingNode[];
}

export interface FormingNode {
  readonly id: string;
  /** What it registers. */
  readonly value: string;
  readonly outcome:
    | { readonly kind: "formed"; readonly members: readonly string[] }
    /** It came too late, and says so. */
    | { readonly kind: "full" }
    | { readonly kind: "failed"; readonly why: string };
}

export interface History {
  readonly operations: readonly Operation[];
  readonly watches: readonly Watching[];
  readonly formations: readonly Formation[];
  /** Every change of the keys concerned that the store has, in order of revision. */
  readonly log: readonly Change[];
  /** Read when all was well again, through every Muster. */
  readonly finals: readonly FinalState[];
}

/** What a Muster shows of all keys at the end. */
export interface FinalState {
  readonly muster: string;
  readonly prefix: string;
  readonly storeRevision: number;
  readonly keys: readonly { readonly key: string; readonly value: string; readonly modRevision: number }[];
}
