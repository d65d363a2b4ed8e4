/** The place for a store that is made of what is there already: a snapshot, or another store's export. */
import { isMusterError, MusterError } from "../../base/errors.ts";
import { DataDirectory, type Making } from "./data-directory.ts";

/**
 * Takes a directory that is missing or empty, for what is to be made in it. What `muster serve` would be told of another
 * one is no help to those who restore or import into it. Errors: `configInvalid`, `directoryInUse`, `directoryCorrupt`,
 * `directoryTooNew`, `storeUnavailable`.
 */
export function takeEmptyPlace(directory: string, making: Making): DataDirectory {
  const place = open(directory, making);
  if (place.isNew) return place;
  place.close();
  throw new MusterError("configInvalid", otherPlace(directory, "it holds a store"));
}

function open(directory: string, making: Making): DataDirectory {
  try {
    return DataDirectory.open(directory, { making });
  } catch (cause) {
    const state = isMusterError(cause) ? stateOf(cause) : undefined;
    if (!isMusterError(cause) || state === undefined) throw cause;
    throw new MusterError(cause.code, otherPlace(directory, state), { cause });
  }
}

/** Why a directory cannot take a store; undefined where it is not what is in it. */
function stateOf({ code, details, message }: MusterError): string | undefined {
  switch (code) {
    case "directoryInUse":
      return "a running Muster uses it";
    case "directoryTooNew":
      return "it holds a store of a newer Muster";
    case "directoryCorrupt":
      return String(details.state ?? message);
    default:
      return undefined;
  }
}

function otherPlace(directory: string, state: string): string {
  return `Name a data directory that is empty or not there yet, not "${directory}": ${state}`;
}
