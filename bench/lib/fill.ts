/** Fills a store through the registry itself, without HTTP: a million tokens take minutes, not an hour. */
import { copyFileSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { runScript } from "./script.ts";

/** Bytes of a block in what stat counts. */
const BLOCK_BYTES = 512;

/** Makes `tokens` tokens with so many members each in the data directory that startMuster uses below `directory`. */
export async function fillStore(
  directory: string,
  { tokens, members }: { readonly tokens: number; readonly members: number },
): Promise<void> {
  await runScript("lib/fill-main", [join(directory, "data"), tokens, members]);
}

/** Another directory with the same store; nobody may have it open. */
export function copyStore(from: string, to: string): void {
  mkdirSync(join(to, "data"), { recursive: true });
  for (const name of readdirSync(join(from, "data"))) {
    copyFileSync(join(from, "data", name), join(to, "data", name));
  }
}

/** What the store of a directory takes on disk, in MiB. */
export function diskMiB(directory: string): number {
  const files = readdirSync(join(directory, "data"), { encoding: "utf8", recursive: true });
  const bytes = files.map((name) => statSync(join(directory, "data", name)).blocks * BLOCK_BYTES);
  return bytes.reduce((sum, size) => sum + size, 0) / 2 ** 20;
}
