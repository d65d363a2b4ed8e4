/** What /new costs with few, many and very many tokens in the store. */
import type { Context, Figure, FigureResult } from "../lib/figure.ts";
import { copyStore, fillStore } from "../lib/fill.ts";
import { CONNECTIONS, httpRow, measureHttp, rates } from "../lib/http-measure.ts";
import { alternate } from "../lib/rounds.ts";
import { unevenness } from "../lib/statistics.ts";
import { Load } from "../load/load.ts";
import { startMuster } from "../peers/muster.ts";

/** Enough for a process that has just started to be at speed, few enough for a small store to stay small. */
const WARM_UP_TOKENS = 3_000;
const MEASURED_TOKENS = 5_000;

export const storeSize: Figure = { name: "store-size", needsEtcd: false, run };

async function run({ scale, scratch }: Context): Promise<FigureResult[]> {
  const stores: { readonly tokens: number; readonly directory: string }[] = [];
  for (const tokens of scale.storeSizes) {
    const directory = scratch.directory(`store-${tokens}`);
    await fillStore(directory, { tokens, members: 0 });
    stores.push({ tokens, directory });
  }
  const largest = Math.max(...scale.storeSizes);
  await using load = await Load.start();
  const requests = { kind: "same", method: "GET", path: "/new?size=3" } as const;
  const measures = await alternate(
    stores.map(({ tokens, directory }) => ({
      name: String(tokens),
      measure: async () => {
        // The largest is not copied: what the rounds add to it is a matter of percents.
        const own = tokens === largest ? directory : scratch.directory("copy");
        if (own !== directory) copyStore(directory, own);
        try {
          await using server = await startMuster(own);
          await measureHttp({ load, server }, { requests, count: WARM_UP_TOKENS });
          return await measureHttp({ load, server }, { requests, count: MEASURED_TOKENS });
        } finally {
          if (own !== directory) scratch.remove(own);
        }
      },
    })),
    scale,
  );
  return [
    {
      title: "/new with few and many tokens in the store",
      conditions:
        `GET /new?size=3, durable; ${CONNECTIONS} keep-alive connections of one client process. Every round of every side is a ` +
        `process just started on a copy of a filled store (the largest is used itself), ${WARM_UP_TOKENS} requests to warm up, then ` +
        `${MEASURED_TOKENS} that count; so the smallest store holds up to ${WARM_UP_TOKENS + MEASURED_TOKENS} tokens more at the end. ${scale.rounds} rounds.`,
      rows: stores.map(({ tokens }, place) => httpRow(`${tokens.toLocaleString("en")} tokens`, measures[place] ?? [])),
      ratios: [
        {
          label: "fastest / slowest of a round",
          values: unevenness(measures.map(rates)),
          required: { atMost: 1.2 },
        },
      ],
    },
  ];
}
