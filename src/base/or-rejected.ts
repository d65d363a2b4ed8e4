/** A call whose errors all come by its promise, at the cost of none: an async function would make two more for each call. */

/** What `work` answers; where it throws instead, a promise that is rejected with that. */
export function orRejected<T>(work: () => Promise<T>): Promise<T> {
  try {
    return work();
  } catch (error) {
    return Promise.reject(error);
  }
}
