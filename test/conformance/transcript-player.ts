/** Plays cases of a transcript against a server: the serial ones one by one, then the parallel ones together. */
import { randomBytes } from "node:crypto";
import { playSteps } from "./case-player.ts";
import type { Answer, CaseScope } from "./case-scope.ts";
import { parseJson, valueAt } from "./json.ts";
import { RawClient } from "./raw-client.ts";
import type { Transcript, TranscriptCase } from "./transcript.ts";

const PARALLEL_CASES = 24;

export interface PlayedCase {
  readonly played: TranscriptCase;
  readonly scope: CaseScope;
  readonly answers: readonly (Answer | undefined)[];
}

/** Nothing else may write to the server meanwhile: indices are compared as steps from the case's start. */
export async function playTranscript(url: string, transcript: Transcript): Promise<readonly PlayedCase[]> {
  const player = new TranscriptPlayer(url, transcript.corpus);
  try {
    const played: PlayedCase[] = [];
    for (const serial of transcript.cases.filter((each) => !each.parallel)) {
      played.push(await player.play(serial));
    }
    const waiting = transcript.cases.filter((each) => each.parallel);
    const worker = async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        played.push(await player.play(next));
      }
    };
    await Promise.all(Array.from({ length: PARALLEL_CASES }, worker));
    return played;
  } finally {
    player.close();
  }
}

class TranscriptPlayer {
  readonly #client: RawClient;
  readonly #corpus: Transcript["corpus"];
  /** Keeps the directories of one run apart from those of every other at the same server. */
  readonly #run = randomBytes(6).toString("hex");

  constructor(url: string, corpus: Transcript["corpus"]) {
    this.#client = new RawClient(url);
    this.#corpus = corpus;
  }

  async play(played: TranscriptCase): Promise<PlayedCase> {
    const scope = await this.#openScope(played);
    const answers = await playSteps(this.#client, played.steps, scope);
    if (scope.directory !== "") {
      await this.#client.call({ method: "DELETE", path: `/v2/keys${scope.directory}?recursive=true` });
    }
    return { played, scope, answers };
  }

  close(): void {
    this.#client.close();
  }

  async #openScope(played: TranscriptCase): Promise<CaseScope> {
    const isDiscovery = this.#corpus === "discovery";
    const startIndex = played.parallel ? Number.NaN : await this.#storeIndex();
    return {
      directory: isDiscovery ? "" : `/conformance-${played.name}-${this.#run}`,
      freshToken: isDiscovery ? randomBytes(16).toString("hex") : "",
      startIndex,
      beganAt: Date.now(),
      tokens: [],
      host: "",
      answers: new Map(),
    };
  }

  /** The server's index now. Discovery shows it nowhere without a token, so there it is that of a new one. */
  async #storeIndex(): Promise<number> {
    if (this.#corpus === "v2-keys") {
      const { headers } = await this.#client.call({ method: "GET", path: `/v2/keys/conformance-${this.#run}` });
      return Number(headers["x-etcd-index"] ?? Number.NaN);
    }
    const made = await this.#client.call({ method: "GET", path: "/new" });
    const token = /[0-9a-f]{32}$/.exec(made.text.trim())?.[0] ?? "none";
    const size = await this.#client.call({ method: "GET", path: `/${token}/_config/size` });
    return Number(valueAt(parseJson(size.text), ["node", "createdIndex"]));
  }
}
