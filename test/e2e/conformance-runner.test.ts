import { expect, test } from "vitest";
import { judge, report } from "../conformance/judge.ts";
import { readTranscript } from "../conformance/transcript.ts";
import { playTranscript } from "../conformance/transcript-player.ts";
import { startEtcd } from "../support/etcd-server.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";

await describeWithEtcd("the conformance runner", (binaries) => {
  // 3.5's v2 is no reference: 3.5.16 answers 500 to an update of a directory, and redirects otherwise.
  const reference = binaries.version.startsWith("3.4.");
  const title = reference ? "" : ` (skipped: etcd ${binaries.version} does not answer as the recorded versions do)`;
  test.skipIf(!reference)(
    `a real etcd matches the recorded keys API: what the runner finds is the server's, not its own${title}`,
    async () => {
      await using etcd = await startEtcd(binaries, ["--enable-v2=true"]);
      const transcript = await readTranscript("v2-keys");
      const runs = await playTranscript(etcd.clientUrl, transcript);
      const verdicts = runs.map((run) => judge(run, { strict: false }));
      expect(report(verdicts)).toBe("");
      expect(verdicts).toHaveLength(transcript.cases.length);
      // The list of other versions' answers is read: 3.4 and 3.5 expire directories otherwise than 2.3.
      expect(verdicts.flatMap(({ as }) => as)).toContain("etcd 3.4.23");
    },
  );
});
