/** The recorded transcripts, and etcdctl, on a Muster whose store is a real etcd: what differs then is listed with its reason. */
import { expect, test } from "vitest";
import { type Deviation, readDeviations } from "../conformance/deviations.ts";
import { judge, report, type Verdict } from "../conformance/judge.ts";
import { readTranscript, type Transcript } from "../conformance/transcript.ts";
import { playTranscript } from "../conformance/transcript-player.ts";
import type { EtcdBinaries } from "../support/etcd-binaries.ts";
import { startEtcd } from "../support/etcd-server.ts";
import { EtcdctlV3Session, type V3Outcome } from "../support/etcdctl-v3-session.ts";
import { ETCDCTL_V3_STEPS } from "../support/etcdctl-v3-steps.ts";
import { startMusterOverEtcd } from "../support/muster-over-etcd.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";
import { describeWithEtcdGo } from "../support/with-etcd-go.ts";

const PLAYING_TIMEOUT_MS = 400_000;

/**
 * Musters that share a store write their time into it, about once a minute, and each write moves the index: what fell on
 * one is played again.
 */
const PLAYS = 3;

interface Store {
  readonly what: string;
  readonly flags: readonly string[];
  /** Commands of etcdctl that are refused over this store, and the words that say why. */
  readonly refused: ReadonlyMap<string, string>;
  /** Commands that show something else over this store, and why. */
  readonly other: ReadonlyMap<string, string>;
}

const NOTHING_COMPACTED = "nothing was compacted, so what is past still shows";

const STORES: readonly Store[] = [
  { what: "a whole etcd", flags: [], refused: new Map(), other: new Map() },
  {
    what: "a prefix in an etcd",
    flags: ["--store-prefix", "/somebody/muster/"],
    refused: new Map(
      ["{S+3}", "{S+4} --physical", "1000000"].map((revision) => [
        `compaction ${revision}`,
        "Let the owner of this etcd compact it",
      ]),
    ),
    other: new Map([
      ["get a --rev {S+2}", NOTHING_COMPACTED],
      ["get a --rev {S+4}", NOTHING_COMPACTED],
      ["watch a --rev {S+1}", NOTHING_COMPACTED],
    ]),
  },
];

await describeWithEtcd("conformance over an etcd", (binaries) => {
  for (const store of STORES) define(binaries, store);
});

await describeWithEtcdGo("3.7", "conformance over etcd 3.7", (binaries) => {
  for (const store of STORES.slice(-1)) define(binaries, store);
});

function define(binaries: EtcdBinaries, store: Store): void {
  const { what, flags } = store;
  const timeout = { timeout: PLAYING_TIMEOUT_MS };

  test(`v2-keys: over ${what} the client listener answers as etcd 2.3.8 did`, timeout, async () => {
    await using server = await startMusterOverEtcd(binaries, flags);
    expect(await playAll("v2-keys", server.clientUrl)).toBe("");
  });

  test(`discovery: over ${what} the public listener answers as the original did`, timeout, async () => {
    await using server = await startMusterOverEtcd(binaries, flags);
    expect(await playAll("discovery", server.publicUrl)).toBe("");
  });

  test(`v3: over ${what} etcdctl writes and exits as on that etcd alone`, timeout, async () => {
    const steps = ETCDCTL_V3_STEPS.filter(({ run }) => !store.other.has(run.join(" ")));
    const play = async (server: { readonly clientAddress: string }) =>
      (await EtcdctlV3Session.start(binaries, server.clientAddress)).play(steps);
    await using etcd = await startEtcd(binaries);
    const expected = await play(etcd);
    let wrong: readonly unknown[] = [];
    for (let time = 0; time < PLAYS; time++) {
      await using server = await startMusterOverEtcd(binaries, flags);
      wrong = wrongOutcomes(await play(server), expected, store);
      if (wrong.length === 0) break;
    }
    expect(wrong).toEqual([]);
  });
}

async function playAll(corpus: "v2-keys" | "discovery", url: string): Promise<string> {
  const transcript = await readTranscript(corpus);
  const deviations = new Map([...(await readDeviations(corpus)), ...(await readDeviations(`${corpus}-over-etcd`))]);
  let wrong: readonly Verdict[] = [];
  let left: Transcript = transcript;
  for (let time = 0; time < PLAYS && left.cases.length > 0; time++) {
    wrong = await wrongVerdicts(url, left, deviations);
    const names = new Set(wrong.map(({ name }) => name));
    left = { ...transcript, cases: transcript.cases.filter(({ name }) => names.has(name)) };
  }
  return report(wrong);
}

async function wrongVerdicts(
  url: string,
  transcript: Transcript,
  deviations: ReadonlyMap<string, Deviation>,
): Promise<readonly Verdict[]> {
  const runs = await playTranscript(url, transcript);
  expect(runs).toHaveLength(transcript.cases.length);
  const verdicts = runs.map((run) => judge(run, { strict: true, deviation: deviations.get(run.played.name) }));
  return verdicts.filter(({ lines }) => lines.length > 0);
}

/** Those that are not what the etcd alone did, nor refused as meant. */
function wrongOutcomes(
  got: readonly V3Outcome[],
  expected: readonly V3Outcome[],
  { refused }: Store,
): readonly (readonly [got: V3Outcome, expected: V3Outcome | undefined])[] {
  // Revisions go up by other numbers: Muster writes its time now and then, and below a prefix whose a lease is.
  const shown = (outcome: V3Outcome | undefined) => outcome?.output.replace(/S\+\d+/g, "S+n");
  const pairs = got.map((outcome, place) => [outcome, expected[place]] as const);
  return pairs.filter(([outcome, alone]) => {
    const words = refused.get(outcome.command);
    if (words !== undefined) return outcome.code === 0 || !outcome.output.includes(words);
    return outcome.code !== alone?.code || shown(outcome) !== shown(alone);
  });
}
