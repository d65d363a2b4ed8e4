/**
 * The lines of an export, one JSON object each: a header, the leases, the keys in order of their bytes, an end with a
 * checksum over all lines before it. docs/moving.md describes them for those who read an export with tools of their own.
 */
import * as z from "zod";
import { type KeyValue, type LeaseId, NO_LEASE, type Revision } from "../../engine/model.ts";

/** What exports are that this Muster writes; it reads no others. */
export const EXPORT_VERSION = 1;

const revision = z.number().int().nonnegative();
const leaseId = z.string().regex(/^[1-9][0-9]{0,18}$/);

const headerLine = z.object({
  muster: z.literal("export"),
  version: z.number().int().positive(),
  /** The moment of the store that the export is. */
  revision,
  /** To what the store was compacted then. */
  compactRevision: revision,
  /** When it was made: for people. */
  at: z.string(),
});
export type ExportHeader = Readonly<z.infer<typeof headerLine>>;

const leaseLine = z.object({
  lease: leaseId,
  /** As it was granted, in s. */
  ttl: z.number().int().positive(),
  /** What was left of it, in s: for people. */
  left: z.number().int(),
});

const keyLine = z.object({
  /** In base64, as the value. */
  key: z.string(),
  value: z.string(),
  create: revision.positive(),
  mod: revision.positive(),
  version: z.number().int().positive(),
  /** Absent: none. */
  lease: leaseId.optional(),
});

const endLine = z.object({
  end: z.literal(true),
  leases: z.number().int().nonnegative(),
  keys: z.number().int().nonnegative(),
  /** Of all lines before this one, their line ends too; in hex. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type ExportEnd = Readonly<z.infer<typeof endLine>>;

export interface ExportedLease {
  readonly id: LeaseId;
  /** As it was granted, in s. */
  readonly ttl: number;
  /** What was left of it, in s. */
  readonly left: number;
}

export type ExportLine =
  | { readonly kind: "lease"; readonly lease: ExportedLease }
  | { readonly kind: "key"; readonly kv: KeyValue }
  | { readonly kind: "end"; readonly end: ExportEnd };

export function writeHeader(facts: {
  readonly revision: Revision;
  readonly compactRevision: Revision;
  readonly at: string;
}): string {
  return line({ muster: "export", version: EXPORT_VERSION, ...facts } satisfies ExportHeader);
}

export function writeLease({ id, ttl, left }: ExportedLease): string {
  return line({ lease: id.toString(), ttl, left } satisfies z.infer<typeof leaseLine>);
}

export function writeKey(kv: KeyValue): string {
  const lease = kv.lease === NO_LEASE ? {} : { lease: kv.lease.toString() };
  return line({
    key: base64(kv.key),
    value: base64(kv.value),
    create: kv.createRevision,
    mod: kv.modRevision,
    version: kv.version,
    ...lease,
  } satisfies z.infer<typeof keyLine>);
}

export function writeEnd(end: Omit<ExportEnd, "end">): string {
  return line({ end: true, ...end } satisfies ExportEnd);
}

/** The first line of an export; undefined where it is none. Its version may be one that this Muster cannot read. */
export function readHeader(text: string): ExportHeader | undefined {
  return headerLine.safeParse(parse(text)).data;
}

/** Any line after the first; undefined where it is none. */
export function readLine(text: string): ExportLine | undefined {
  const value = parse(text);
  if (!(value instanceof Object)) return undefined;
  if ("key" in value) return keyOf(keyLine.safeParse(value).data);
  if ("lease" in value) return leaseOf(leaseLine.safeParse(value).data);
  const end = endLine.safeParse(value).data;
  return end === undefined ? undefined : { kind: "end", end };
}

function keyOf(read: z.infer<typeof keyLine> | undefined): ExportLine | undefined {
  if (read === undefined || read.create > read.mod) return undefined;
  const kv = {
    key: Buffer.from(read.key, "base64"),
    value: Buffer.from(read.value, "base64"),
    createRevision: read.create,
    modRevision: read.mod,
    version: read.version,
    lease: read.lease === undefined ? NO_LEASE : BigInt(read.lease),
  };
  return { kind: "key", kv };
}

function leaseOf(read: z.infer<typeof leaseLine> | undefined): ExportLine | undefined {
  if (read === undefined) return undefined;
  return { kind: "lease", lease: { id: BigInt(read.lease), ttl: read.ttl, left: read.left } };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What is no JSON is no line of an export either, which is what the caller says.
    return undefined;
  }
}

function line(content: object): string {
  return `${JSON.stringify(content)}\n`;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
}
