import autocannon from "autocannon";

const CONNECTIONS = 32;

/**
 * Writes `count` times through /v2/keys of a client listener, over a handful of keys. Rejects when one is not
 * acknowledged.
 */
export async function writeManyTimes(clientUrl: string, count: number): Promise<void> {
  let connections = 0;
  const result = await autocannon({
    url: clientUrl,
    connections: CONNECTIONS,
    amount: count,
    // A request that has no answer in ten seconds is an error, and the first error ends it all.
    bailout: 1,
    setupClient: (client) => {
      connections += 1;
      client.setRequests([
        {
          method: "PUT",
          path: `/v2/keys/load/${connections}`,
          headers: { "content-type": "application/x-www-form-urlencoded" },
          body: "value=something",
        },
      ]);
    },
  });
  if (result["2xx"] !== count || result.non2xx > 0 || result.errors > 0) {
    throw new Error(
      `of ${count} writes ${result["2xx"]} were acknowledged, ${result.non2xx} refused; ${result.errors} errors`,
    );
  }
}
