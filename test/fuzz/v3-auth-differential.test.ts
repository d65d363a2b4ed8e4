import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { EtcdBinaries } from "../support/etcd-binaries.ts";
import { randomPrograms } from "../support/random-programs.ts";
import { describeWithEtcdGo } from "../support/with-etcd-go.ts";
import { playAuthProgram } from "./v3-auth-lockstep.ts";
import { authProgram } from "./v3-auth-requests.ts";
import type { V3Pair } from "./v3-lockstep.ts";
import { startV3Pair } from "./v3-server-pair.ts";
import { listing } from "./v3-steps.ts";

const RUN = randomPrograms({ programs: 30, programTimeoutMs: 60_000 });
/** bcrypt's least, so that a password costs no time. */
const CHEAP_PASSWORDS = ["--bcrypt-cost", "4"];

await describeWithEtcdGo("3.7", "users and roles as etcd 3.7", (binaries) => against(binaries, RUN.programs));
await describeWithEtcdGo("3.6", "users and roles as etcd 3.6", (binaries) => against(binaries, RUN.programs / 3));

function against(binaries: EtcdBinaries, programs: number): void {
  let pair: (V3Pair & AsyncDisposable) | undefined;

  beforeAll(async () => {
    pair = await startV3Pair(binaries, CHEAP_PASSWORDS);
  });
  afterAll(() => pair?.[Symbol.asyncDispose]());

  it(`answers random programs the same (seed ${RUN.seed})`, { timeout: RUN.timeoutMs }, async () => {
    const property = fc.asyncProperty(authProgram, async (steps) => {
      if (pair === undefined) throw new Error("the servers were not started");
      expect(await playAuthProgram(pair, steps), `both answer the same to\n${listing(steps)}`).toEqual([]);
    });
    await RUN.assert(property, Math.ceil(programs));
  });
}
