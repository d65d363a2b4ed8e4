/**
 * Where Muster means to answer otherwise than etcd, each as narrow as can be, with a reason. A rule that no pinned
 * program needs any more fails the test.
 */
import { isJsonObject, type Json } from "../conformance/json.ts";
import { type V3AnswerPair, v3Differences } from "./v3-lockstep.ts";
import { type V3Step, WATCH } from "./v3-steps.ts";
import { hasMoreDeletions, hasMoreProgress } from "./v3-watch-told.ts";

interface Exception {
  readonly name: string;
  readonly reason: string;
  /** Which releases of etcd differ so. */
  readonly in: (version: string) => boolean;
  readonly covers: (pair: V3AnswerPair, lines: readonly string[]) => boolean;
}

const EXCEPTIONS: readonly Exception[] = [
  {
    name: "lease-of-keys-only",
    reason:
      "etcd 3.7 reads keys without values from its index, which knows nothing of leases: they come back as 0. Muster tells them, as every etcd before",
    in: (version) => !isBefore(version, 3, 7),
    covers: ({ step }, lines) =>
      JSON.stringify(step.request).includes('"keys_only":true') &&
      lines.every((line) => /kvs\[\d+\]\.lease: expected "0", got "\d+"$/.test(line)),
  },
  {
    name: "what-is-missing-first",
    reason:
      "where a transaction wants more than one thing that is not there, etcd looked at its puts before its ranges until 3.6 took its operations in order, and for their keys before their leases until 3.7",
    in: (version) => isBefore(version, 3, 7),
    covers: ({ step, etcd, muster }) => step.call === "KV/Txn" && isMissing(etcd) && isMissing(muster),
  },
  {
    name: "progress-beside-compacted",
    reason:
      "once a watch of a stream was canceled as compacted, etcd answers no progress request on that stream until the client cancels that watch, too",
    in: (version) => !isBefore(version, 3, 5),
    covers: ({ step, etcd, muster }) => step.call === WATCH && hasMoreProgress(etcd, muster),
  },
  {
    name: "progress-of-those-behind",
    reason:
      "etcd answered every progress request at once, even while watches were behind or had not begun, until 3.5.8 waited for them",
    in: (version) => isBefore(version, 3, 5),
    covers: ({ step, etcd, muster }) => step.call === WATCH && hasMoreProgress(muster, etcd),
  },
  {
    name: "deletions-at-compaction",
    reason: "etcd forgot the deletions of the revision that it was compacted to, until it kept them in 3.5.16",
    in: (version) => isBefore(version, 3, 5),
    covers: ({ step, etcd, muster }) => step.call === WATCH && hasMoreDeletions(etcd, muster),
  },
];

const MISSING = new Set([
  "etcdserver: key not found",
  "etcdserver: requested lease not found",
  "etcdserver: mvcc: required revision has been compacted",
  "etcdserver: mvcc: required revision is a future revision",
]);

function isMissing(answer: Json): boolean {
  return isJsonObject(answer) && MISSING.has(String(answer.details));
}

/** Whether a release such as "3.4.23" is older than `major.minor`. */
export function isBefore(version: string, major: number, minor: number): boolean {
  const [ofMajor = 0, ofMinor = 0] = version.split(".").map(Number);
  return ofMajor < major || (ofMajor === major && ofMinor < minor);
}

/** The names of all differences from a release of etcd. */
export function knownV3Differences(version: string): readonly string[] {
  return EXCEPTIONS.filter((each) => each.in(version)).map(({ name }) => name);
}

export interface V3Verdict {
  /** What differs and should not; the step, and a line for each difference. */
  readonly wrong: readonly { readonly step: V3Step; readonly lines: readonly string[] }[];
  /** The names of the known differences that it shows. */
  readonly known: ReadonlySet<string>;
}

/** Judges a program that was played against a release of etcd. */
export function judgedV3Program(answers: readonly V3AnswerPair[], version: string): V3Verdict {
  const wrong: V3Verdict["wrong"][number][] = [];
  const known = new Set<string>();
  for (const pair of answers) {
    const lines = v3Differences(pair);
    if (lines.length === 0) continue;
    const exception = EXCEPTIONS.find((each) => each.in(version) && each.covers(pair, lines));
    if (exception === undefined) wrong.push({ step: pair.step, lines });
    else known.add(exception.name);
  }
  return { wrong, known };
}
