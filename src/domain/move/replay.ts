/**
 * In which order the keys of an export are written to a store that gives its own revisions. Whatever the records of the
 * tree and the registry say by comparing revisions must stay true, and clients sort keys by them: so what was created or
 * changed by one revision is by one again, and what came before comes before. A key that was changed after it was
 * created is put twice.
 */
import type { Revision } from "../../engine/model.ts";
import type { KeyIndex } from "./key-index.ts";

/** What is put in one revision. */
export interface Step {
  /** The revision that it was in the store that was exported. */
  readonly revision: Revision;
  readonly puts: readonly Put[];
}

export interface Put {
  /** The key's place in the index. */
  readonly place: number;
  /** Whether the key is put as it is to stay; else just so that it is there, to be put again. */
  readonly isLast: boolean;
}

/** The steps, in rising order of their revisions. */
export function* stepsOf(index: KeyIndex): Generator<Step> {
  let step: Put[] = [];
  let revision: Revision = 0;
  for (const put of ordered(index)) {
    const at = revisionOf(index, put);
    if (at !== revision && step.length > 0) {
      yield { revision, puts: step };
      step = [];
    }
    revision = at;
    step.push({ place: put >>> 1, isLast: isLast(put) });
  }
  if (step.length > 0) yield { revision, puts: step };
}

/** Each put as a number, for there may be millions: twice the key's place, and one more where it is the last. */
function ordered(index: KeyIndex): Uint32Array {
  const puts = new Uint32Array(index.length * 2);
  let count = 0;
  for (let place = 0; place < index.length; place++) {
    if (index.firstRevision(place) !== index.lastRevision(place)) puts[count++] = place * 2;
    puts[count++] = place * 2 + 1;
  }
  return puts.subarray(0, count).sort((a, b) => revisionOf(index, a) - revisionOf(index, b) || a - b);
}

function isLast(put: number): boolean {
  return (put & 1) === 1;
}

function revisionOf(index: KeyIndex, put: number): Revision {
  return isLast(put) ? index.lastRevision(put >>> 1) : index.firstRevision(put >>> 1);
}
