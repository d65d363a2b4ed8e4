/** Clusters that form: nodes that do on the wire what etcd's discovery does, through whichever Muster answers. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Bootstrap, insist, NodeDied, nothing } from "./bootstrap.ts";
import type { Dice } from "./dice.ts";
import type { Formation, FormingNode } from "./history.ts";
import { HttpClient } from "./http-client.ts";
import { playV2 } from "./played-v2.ts";
import { playV3 } from "./played-v3.ts";
import { CLIENT_TIMEOUT_MS, type Target } from "./target.ts";

const SUPERVISOR_MS = 500;

/** etcd does not pad IDs; so long ones come only once. */
const LEAST_ID_DIGITS = 10;
const MOST_ID_DIGITS = 16;

export interface FormingOptions {
  readonly targets: readonly Target[];
  readonly dice: Dice;
  readonly signal: AbortSignal;
}

/** Makes a token and lets its nodes come, one more than it has room for now and then; resolves when all have ended. */
export async function formCluster({ targets, dice, signal }: FormingOptions): Promise<Formation> {
  const size = 1 + dice.below(5);
  const token = await newToken(size, { targets, dice, signal });
  const play = dice.one([playV2, playV3]);
  const count = size + (dice.below(4) === 0 ? 1 : 0);
  const startMs = dice.one([0, 500, 3000]);
  const nodes = await Promise.all(
    Array.from({ length: count }, async (): Promise<FormingNode> => {
      const own = dice.fork();
      const id = own.hex(LEAST_ID_DIGITS + own.below(MOST_ID_DIGITS + 1 - LEAST_ID_DIGITS));
      const value = `n${id}=http://10.0.0.${own.below(250)}:2380`;
      await sleep(own.below(startMs + 1));
      return { id, value, outcome: await supervised(play, { token, size, id, value, targets, dice: own, signal }) };
    }),
  );
  return { directory: `/_etcd/registry/${token}/`, size, nodes };
}

type Play = (bootstrap: Bootstrap) => Promise<FormingNode["outcome"]>;

async function supervised(play: Play, bootstrap: Bootstrap): Promise<FormingNode["outcome"]> {
  const lives: string[] = [];
  while (!bootstrap.signal.aborted) {
    try {
      return await play(bootstrap);
    } catch (error) {
      if (!(error instanceof NodeDied)) return { kind: "failed", why: String(error) };
      lives.push(error.message);
    }
    await sleep(SUPERVISOR_MS);
  }
  return { kind: "failed", why: `it took too long; it died of: ${lives.join("; ") || "nothing"}` };
}

async function newToken(size: number, options: FormingOptions): Promise<string> {
  using http = new HttpClient();
  return insist(options, async ({ publicUrl }) => {
    const answer = await http
      .ask({ method: "GET", url: `${publicUrl}/new?size=${size}`, timeoutMs: CLIENT_TIMEOUT_MS })
      .catch(nothing);
    if (answer?.status === 200) return answer.body.trim().split("/").at(-1);
    if (answer !== undefined && answer.status < 500)
      throw new Error(`/new was answered ${answer.status} ${answer.body}`);
    return undefined;
  });
}
