// The machine's own Go, for programs that tests are played with. For scripts/etcd-go.mjs and scripts/go-client.mjs.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { onPath } from "./debian-packages.mjs";

const run = promisify(execFile);

/** How a script exits where there is no Go that is new enough. */
export const NO_GO = 3;

/** Go's own settings of this machine, less those that would make a build another one. */
export const goEnvironment = { ...process.env, GOTOOLCHAIN: "local", GOFLAGS: "-buildvcs=false", GOWORK: "off" };

/** No Go, or too old a one: tests are skipped then. */
export class NoGo extends Error {}

/**
 * The file of a Go that is as new as that, such as "1.25.0"; throws NoGo where there is none.
 * @param {string} wanted
 */
export async function goAtLeast(wanted) {
  const go = await onPath("go");
  if (go === undefined) {
    throw new NoGo(`no Go on PATH: the modules want ${wanted} or newer`);
  }
  const { stdout } = await run(go, ["env", "GOVERSION"], { env: goEnvironment });
  const there = /^go(\d+)\.(\d+)/.exec(stdout.trim());
  const [major = 0, minor = 0] = wanted.split(".").map(Number);
  if (there === null || Number(there[1]) < major || (Number(there[1]) === major && Number(there[2]) < minor)) {
    throw new NoGo(`${go} is ${stdout.trim()}: the modules want ${wanted} or newer`);
  }
  return go;
}
