/** Reads that may take etcd long: only of an endpoint that does not answer small questions either is it known that it is dead. */
import { STORE_RANGE_DOUBT_MS } from "../../base/store-limits.ts";
import { failureOf, isDeadline, unavailable } from "./etcd-errors.ts";

export interface LongCall<Response> {
  /** Makes the call; a signal gives it up. */
  readonly send: (signal: AbortSignal) => Promise<Response>;
  /** Asks the same endpoint something small. */
  readonly ask: () => Promise<unknown>;
  /** Whether another endpoint can be asked: else the call is not given up, as etcd may still be at work on it. */
  readonly hasOthers: boolean;
  /** The endpoint lives, and did not answer the call in time. */
  readonly onLate: () => void;
}

/**
 * Waits for the answer for as long as the call may take. Where none has come for STORE_RANGE_DOUBT_MS, the endpoint is
 * asked something small: if it does not answer that either, the call is given up with what was wrong, so that another
 * endpoint can be asked within the time. Errors: the call's, that one's; `storeUnavailable`, where a living endpoint
 * took too long: that says nothing against it.
 */
export async function longCall<Response>({ send, ask, hasOthers, onLate }: LongCall<Response>): Promise<Response> {
  const givenUp = new AbortController();
  let verdict: { readonly death: unknown } | "alive" | undefined;
  const doubt = async () => {
    const thrown = await ask().then(
      () => undefined,
      (error: unknown) => error,
    );
    const kind = thrown === undefined ? undefined : failureOf(thrown).kind;
    verdict = kind === "refused" || kind === "unknown" ? { death: thrown } : "alive";
    if (verdict !== "alive" && hasOthers) givenUp.abort();
  };
  const timer = setTimeout(() => void doubt(), STORE_RANGE_DOUBT_MS);
  try {
    return await send(givenUp.signal);
  } catch (error) {
    if (verdict !== undefined && verdict !== "alive") throw verdict.death;
    if (verdict === undefined || !isDeadline(error)) throw error;
    onLate();
    const advice = "Ask for fewer keys at a time, or give etcd more power: it serves, and did not read a range in time";
    throw unavailable(advice, error);
  } finally {
    clearTimeout(timer);
  }
}
