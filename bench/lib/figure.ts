/** What a figure is, and what it gives to print. */
import type { EtcdBinaries } from "../peers/etcd-binaries.ts";
import type { Scratch } from "./scratch.ts";

/** How much is measured. */
export interface Scale {
  readonly warmUps: number;
  readonly rounds: number;
  /** How long one round of one side lasts, in ms, where it is a matter of time. */
  readonly roundMs: number;
  /** How many clusters register in a round. */
  readonly clusters: number;
  /** How many nodes wait on one token. */
  readonly waiters: readonly number[];
  /** How many tokens are in a store before /new is measured. */
  readonly storeSizes: readonly number[];
  /** How many tokens with three members are in the store whose memory and start-up are measured. */
  readonly largeStore: number;
  /** How many long polls wait on one key. */
  readonly polls: number;
  /** How many keys of 100 bytes are in the v2 store whose memory, disk and start-up are measured. */
  readonly largeTree: number;
}

export interface Context {
  readonly scale: Scale;
  readonly scratch: Scratch;
  /** Absent where there is none: figures that need it are left out. */
  readonly etcd: EtcdBinaries | undefined;
}

export interface Row {
  readonly label: string;
  readonly values: readonly number[];
  readonly unit: string;
  /** Such as who used how much of the processors. */
  readonly note?: string;
}

/** A quotient that is to lie on one side of a bound. */
export interface Ratio {
  readonly label: string;
  readonly values: readonly number[];
  readonly required?: Bound;
  readonly aim?: Bound;
}

export type Bound = { readonly atLeast: number } | { readonly atMost: number };

export interface FigureResult {
  readonly title: string;
  /** Clients, connections, key and value size: one sentence. */
  readonly conditions: string;
  readonly rows: readonly Row[];
  readonly ratios: readonly Ratio[];
}

export interface Figure {
  /** By which it is chosen on the command line. */
  readonly name: string;
  readonly needsEtcd: boolean;
  run(context: Context): Promise<FigureResult[]>;
}
