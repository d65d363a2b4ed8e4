/** The mark of an import under way: a store that has it holds half of another one, and nobody is to be served from it. */
import { text, utf8 } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Revision } from "../../engine/model.ts";

/** Says which import is under way, and how far it is. */
export const IMPORT_KEY = utf8("\0store/import");

/** What must be added to the revisions of a store that others have been told of before it was imported. */
export const OFFSET_KEY = utf8("\0store/offset");

/** The mark as it stands. */
export interface ImportMark {
  readonly value: string;
  readonly revision: Revision;
}

export async function readMark(engine: Engine): Promise<ImportMark | undefined> {
  const { kvs } = await engine.range({ key: IMPORT_KEY });
  const [kv] = kvs;
  return kv === undefined ? undefined : { value: text(kv.value), revision: kv.modRevision };
}

/** Error: `directoryCorrupt` where an import into the store has not come to its end. */
export async function refuseHalfImport(engine: Engine): Promise<void> {
  if ((await readMark(engine)) !== undefined) throw halfImport();
}

export function halfImport(): MusterError {
  return new MusterError(
    "directoryCorrupt",
    "Run `muster import` once more, with --again, or choose another place: an import into this store did not end, and " +
      "half of what it was to bring is there",
  );
}
