/** Muster's own version, from the package.json that it was installed with. */
import { readFileSync } from "node:fs";

/** Such as `0.1.0`; `unknown` where package.json holds none. */
export function musterVersion(): string {
  // src/base and dist/base are equally far below it.
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const named = typeof manifest === "object" && manifest !== null && "version" in manifest;
  return named && typeof manifest.version === "string" ? manifest.version : "unknown";
}
