/**
 * What processes tell each other of their clocks, in internal keys of the store that they share:
 *
 *   00 "p" ID            {at, asks, seen, place}: the record of the process ID
 */
import * as z from "zod";
import { type Bytes, text, utf8 } from "../base/bytes.ts";

const PREFIX = "\0p";

const clockRecord = z.object({
  /** The writer's time when it wrote this, in ms since 1970. */
  at: z.number(),
  /** Whether the peers are to write theirs. */
  asks: z.boolean(),
  /** Of each peer that was heard of lately, the newest time that it wrote. */
  seen: z.record(z.string(), z.number()),
  /** Where the writer runs; absent: it does not know, or was released before there was this. */
  place: z.string().optional(),
});
export type ClockRecord = Readonly<z.infer<typeof clockRecord>>;

/** The records of all processes. */
export const CLOCK_RECORDS: { readonly key: Bytes; readonly end: Bytes } = { key: utf8(PREFIX), end: utf8("\0q") };

export function clockRecordKey(id: string): Bytes {
  return utf8(PREFIX + id);
}

/** Whose record is under a key within CLOCK_RECORDS. */
export function idOfClockRecord(key: Bytes): string {
  return text(key.subarray(PREFIX.length));
}

export function writeClockRecord(record: ClockRecord): Bytes {
  return utf8(JSON.stringify(record));
}

/** Undefined where it cannot be read: another release's, which tells nothing. */
export function readClockRecord(value: Bytes): ClockRecord | undefined {
  try {
    return clockRecord.safeParse(JSON.parse(text(value))).data;
  } catch {
    return undefined;
  }
}
