/** Whether a run left enough writes open: whoever sends such a write again is found out by those that were applied. */
import { type History, isOpen } from "./history.ts";
import { PROTOCOLS, writerOf } from "./lost-store-answers.ts";
import { StoreLog } from "./store-log.ts";

/** Of ENOUGH_UNKNOWN: nearly all of them are, and one is enough for a write that is always sent again. */
const LEAST_APPLIED = 10;

/** How many of the writes whose outcome nobody knows were applied. */
export function countApplied({ operations, log }: Pick<History, "operations" | "log">, writer = ""): number {
  const store = new StoreLog(log);
  const open = operations.filter(isOpen).filter(({ client }) => client.startsWith(writer));
  return open.filter(({ value }) => store.putsOf(value).length > 0).length;
}

/** What is wrong, a sentence each, with a run in which answers of the store were lost. */
export function checkLeftOpen(history: Pick<History, "operations" | "log">): readonly string[] {
  return PROTOCOLS.flatMap((protocol) => {
    const applied = countApplied(history, writerOf(protocol));
    return applied >= LEAST_APPLIED
      ? []
      : [
          `only ${applied} of at least ${LEAST_APPLIED} ${protocol} writes of unknown outcome were applied: nothing is shown`,
        ];
  });
}
