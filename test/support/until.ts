import { setTimeout as sleep } from "node:timers/promises";

const POLL_MS = 50;

/** For `vi.waitFor`, whose own second may be over on a busy machine before anything has happened. */
export const PATIENTLY = { timeout: 20_000 } as const;

export interface UntilOptions {
  readonly timeoutMs: number;
  /** What is waited for, for the error. */
  readonly what: string;
}

/**
 * Asks again until `attempt` neither throws nor answers undefined, and gives its answer. For states that announce
 * themselves to nobody, such as another program's health. Rejects when the time is over, with the last error as cause.
 */
export async function until<T>(attempt: () => Promise<T | undefined>, options: UntilOptions): Promise<T> {
  const deadline = performance.now() + options.timeoutMs;
  let cause: unknown;
  do {
    try {
      const answer = await attempt();
      if (answer !== undefined) {
        return answer;
      }
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    await sleep(POLL_MS);
  } while (performance.now() < deadline);
  throw new Error(`waited ${options.timeoutMs} ms in vain for ${options.what}`, { cause });
}

/** Whether a GET of `url` is answered 200; throws where it is not answered. */
export async function answersOk(url: string): Promise<true | undefined> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(2000) });
  await answer.body?.cancel();
  return answer.ok ? true : undefined;
}
