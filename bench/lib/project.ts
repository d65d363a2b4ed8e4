/** Where things are: the benchmarks run compiled, in .cache/bench/build, which has the project's own layout. */
import { copyFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const build = new URL("../../", import.meta.url);

/** The project's folder. */
export const PROJECT = fileURLToPath(new URL("../../../", build));

/** Where data directories are made unless --dir says otherwise. */
export const DEFAULT_DATA = fileURLToPath(new URL("../data/", build));

/** The compiled src/main.ts: what bin/muster starts. */
export const MUSTER = fileURLToPath(new URL("src/main.js", build));

/** A compiled script of bench/, such as `load/load-main`, to be started as a process of its own. */
export function benchScript(name: string): string {
  return fileURLToPath(new URL(`bench/${name}.js`, build));
}

/** Muster reads its version from the package.json above it, which the compiler does not copy. */
export function completeBuild(): void {
  copyFileSync(new URL("package.json", `file://${PROJECT}`), new URL("package.json", build));
}
