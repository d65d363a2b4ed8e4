/** What another process uses, from Linux's /proc; nothing where there is none. */
import { readFile } from "node:fs/promises";

/** Linux counts processor time in hundredths of a second, whatever the kernel's own clock is. */
const MS_PER_TICK = 10;

/** Processor time of all threads of a process so far, in ms. */
export async function cpuTimeMs(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  // The second field is the program's name, which may hold spaces.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields?.[11]) + Number(fields?.[12])) * MS_PER_TICK;
}

export interface Memory {
  /** All resident memory, in MiB. */
  readonly resident: number;
  /** As much of it as belongs to the process alone, in MiB; the rest are pages of files (LMDB's map among them). */
  readonly own: number;
}

export async function memoryOf(pid: number): Promise<Memory> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) / 1024;
  return { resident: field("VmRSS"), own: field("RssAnon") };
}
