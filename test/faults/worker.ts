import type { Dice } from "./dice.ts";
import type { Recorder } from "./recorder.ts";
import type { Target } from "./target.ts";
import type { V2Client } from "./v2-client.ts";
import type { V3Client } from "./v3-client.ts";

/** All keys of the load. */
export const LOAD_PREFIX = "/faults/";

/** One of those who make the load. */
export interface Worker {
  readonly name: string;
  readonly recorder: Recorder;
  readonly dice: Dice;
  readonly targets: readonly Target[];
  readonly v2: V2Client;
  readonly v3: V3Client;
}
