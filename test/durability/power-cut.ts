/** Puts on a real disk what a power cut leaves of a modelled one. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DiskDirectory, type Fate } from "./disk.ts";
import { MAPPED } from "./traced-files.ts";

/** Numbers from 0 to 1 that a seed brings back (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What became of what was not synced. `in order`: it reached the disk in the order of writing, up to some point. */
export const FATES = ["nothing", "in order", "any", "torn", "everything"] as const;
export type FateName = (typeof FATES)[number];

export function fateOf(name: FateName, random: () => number): Fate {
  const coin = () => random() < 0.5;
  const share = random();
  switch (name) {
    case "nothing":
      return { write: () => "dropped", sector: () => false, name: () => false };
    case "everything":
      return { write: () => "kept", sector: () => true, name: () => true };
    case "in order": {
      let goesOn = true;
      const next = () => {
        goesOn &&= random() < 0.5 + share / 2;
        return goesOn;
      };
      return { write: () => (next() ? "kept" : "dropped"), sector: () => false, name: next };
    }
    case "any":
      return { write: () => (random() < share ? "kept" : "dropped"), sector: coin, name: coin };
    case "torn":
      return {
        write: () => (["kept", "dropped", "torn"] as const)[Math.floor(random() * 3)] ?? "torn",
        sector: coin,
        name: coin,
      };
  }
}

/** Writes a directory as it is after a power cut. What is not in the trace (mapped files) holds anything. */
export async function writeAfterCut(directory: DiskDirectory, path: string, fate: Fate): Promise<void> {
  await mkdir(path, { recursive: true });
  for (const [name, node] of directory.after(fate)) {
    const target = join(path, name);
    if (node instanceof DiskDirectory) {
      await writeAfterCut(node, target, fate);
    } else {
      const bytes = node.after(fate);
      await writeFile(target, name === MAPPED ? garbage(bytes.length, fate) : bytes);
    }
  }
}

/** LMDB maps its file of locks for writing; it is of no use after a restart and must not be believed. */
function garbage(length: number, fate: Fate): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at++) {
    bytes[at] = fate.sector() ? 0xa5 : 0;
  }
  return bytes;
}
