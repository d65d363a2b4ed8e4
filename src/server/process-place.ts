/** Where this process runs, so that one that is started again knows what the one before it left in a store. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import type { Config } from "./config.ts";

/** Changes whenever the machine is started; its containers have it, too (Linux, random(4)). */
const BOOT_ID_FILE = "/proc/sys/kernel/random/boot_id";

/**
 * Of two processes with the same place at most one lives: they have the same addresses on the same start of the same
 * machine, whose clock therefore is the same as well. Undefined where that cannot be known: the system chooses a port, or
 * is not Linux.
 */
export function processPlace({ listen, clientListen }: Pick<Config, "listen" | "clientListen">): string | undefined {
  const addresses = [...listen, ...clientListen];
  const bootId = readBootId();
  if (bootId === undefined || addresses.some(({ port }) => port === 0)) return undefined;
  const parts = [bootId, hostname(), ...addresses.map(({ text }) => text)];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
}

function readBootId(): string | undefined {
  try {
    return readFileSync(BOOT_ID_FILE, "utf8").trim();
  } catch {
    // Another system: then a successor only waits longer.
    return undefined;
  }
}
