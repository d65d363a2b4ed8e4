/** How the text of an option becomes its value. Each schema takes the text that a flag, variable or file gave. */
import { resolve } from "node:path";
import { z } from "zod";
import { parseDuration } from "../base/duration.ts";
import { MAX_STORE_PREFIX_BYTES } from "../base/store-limits.ts";
import { parseHost } from "./host.ts";
import { parseStoreUrl } from "./store-url.ts";

/** An address to listen on; port 0 lets the system choose. */
export interface ListenAddress {
  /** Name or IP address (no brackets); absent: every address of the machine. */
  readonly host?: string;
  readonly port: number;
  /** As it was given. */
  readonly text: string;
}

/** `host:port`, `[IPv6]:port` or `:port`. */
export const listenAddress = fromText(parseListenAddress);

/** A Go duration, in ms. */
export const duration = fromText((text) => {
  const ms = parseDuration(text);
  return ms !== undefined && ms <= MAX_DURATION_MS ? ms : undefined;
});

/** An http(s) URL without user, query and fragment; its trailing slash is dropped. */
export const publicUrl = fromText((text) => {
  if (!URL.canParse(text) || /[?#\s]/.test(text)) return undefined;
  const url = new URL(text);
  const sound = ["http:", "https:"].includes(url.protocol) && url.username === "" && url.password === "";
  return sound ? url.href.replace(/\/+$/, "") : undefined;
});

/** A host's name, in lower case, without a port. */
export const hostName = fromText((text) => {
  const host = parseHost(text);
  return host !== undefined && !text.includes(":") ? host.name : undefined;
});

export const truth = fromText((text) => TRUTHS.get(text.toLowerCase()));

/** No object, which would know `constructor` too. */
const TRUTHS: ReadonlyMap<string, boolean> = new Map([
  ["true", true],
  ["false", false],
]);

/** A directory, made absolute from the working directory; an empty text would be that itself, and is mostly a slip. */
export const directory = fromText((text) => (text === "" || text.includes("\0") ? undefined : resolve(text)));

/** A file, made absolute from the working directory. */
export const filePath = directory;

/** An etcd cluster. */
export const storeUrl = fromText(parseStoreUrl);

/** What keys begin with. Without the slash at its end "/muster" would take in the keys of one who has "/muster2/". */
export const storePrefix = fromText((text) =>
  text.endsWith("/") && !text.includes("\0") && Buffer.byteLength(text) <= MAX_STORE_PREFIX_BYTES ? text : undefined,
);

/** The name of a user of etcd. */
export const userName = fromText((text) => (/^[^\s:]+$/.test(text) ? text : undefined));

/** A whole number within bounds, both included. */
export function wholeNumber(least: number, most: number) {
  return fromText((text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    return value >= least && value <= most ? value : undefined;
  });
}

/** A hundred years: what is longer is a slip, and overflows what dates can hold. */
const MAX_DURATION_MS = 100 * 366 * 86_400_000;

function parseListenAddress(text: string): ListenAddress | undefined {
  const [, port] = /:(\d{1,5})$/.exec(text) ?? [];
  if (port === undefined || Number(port) > 65_535) return undefined;
  const given = text.slice(0, text.lastIndexOf(":"));
  if (given === "") return { port: Number(port), text };
  const host = parseHost(given);
  const bare = given.startsWith("[") || !given.includes(":");
  return host !== undefined && bare ? { host: host.name, port: Number(port), text } : undefined;
}

function fromText<T>(parse: (text: string) => T | undefined) {
  return z.string().transform((text, context): T => {
    const value = parse(text);
    if (value !== undefined) return value;
    context.addIssue({ code: "custom", message: "not of the form it takes" });
    return z.NEVER;
  });
}
