/**
 * Every option of `muster serve` in one table: its name (the flag is `--name`, the variable MUSTER_NAME, the key in the
 * file `name`), what it takes, its default and what it is for. The command line's help and the errors are made of it.
 */
import { z } from "zod";
import { COMPACTION_KEEP_MS, COMPACTION_KEEP_REVISIONS } from "../base/compaction-limits.ts";
import { formatDuration } from "../base/duration.ts";
import { DEFAULT_MAX_CONNECTIONS, V2_BODY_BYTES } from "../base/limits.ts";
import { LOG_FORMATS, LOG_LEVELS } from "../base/log.ts";
import {
  directory,
  duration,
  filePath,
  hostName,
  listenAddress,
  publicUrl,
  storePrefix,
  storeUrl,
  truth,
  userName,
  wholeNumber,
} from "./config-values.ts";

/** The values of the options that say where the keys are. */
export const storeOptionsSchema = z.object({
  "data-dir": directory,
  store: storeUrl.optional(),
  "store-prefix": storePrefix.optional(),
  "store-ca": filePath.optional(),
  "store-cert": filePath.optional(),
  "store-key": filePath.optional(),
  "store-user": userName.optional(),
  "store-password-file": filePath.optional(),
});

export type StoreOptions = z.output<typeof storeOptionsSchema>;

/** What the values of all options must look like, by name; its input is text, its output typed. */
export const optionsSchema = z.object({
  listen: z.array(listenAddress).min(1),
  "client-listen": z.array(listenAddress).min(1),
  ...storeOptionsSchema.shape,
  "public-url": publicUrl.optional(),
  "token-ttl": duration,
  "trust-proxy": truth,
  "client-allowed-host": z.array(hostName),
  "advertise-client-urls": z.array(publicUrl),
  "auto-compaction-retention": duration,
  "auto-compaction-revisions": wholeNumber(0, Number.MAX_SAFE_INTEGER),
  "max-connections": wholeNumber(1, 1_000_000),
  "max-request-bytes": wholeNumber(1_024, 1_073_741_824),
  "tls-cert": filePath.optional(),
  "tls-key": filePath.optional(),
  "log-level": z.enum(LOG_LEVELS),
  "log-format": z.enum(LOG_FORMATS),
});

export type OptionName = keyof typeof optionsSchema.shape;

export interface OptionText {
  /** What stands for the value in help, such as ADDR; absent: a switch that may stand alone. */
  readonly placeholder?: string;
  /** What the option takes, in a sentence that begins "Set --option to …". */
  readonly takes: string;
  readonly help: string;
  /** The text that applies where nobody gives one. */
  readonly default?: string;
  /** May be given several times; in the environment its values are separated by commas. */
  readonly repeatable?: true;
}

const ADDRESS_TAKES = 'an address to listen on, such as "127.0.0.1:8087", "[::1]:8087" or ":8087" (every address)';
const DURATION_TAKES = "such as 168h, 1h30m or 90s";

export const OPTION_TEXTS: Readonly<Record<OptionName, OptionText>> = {
  listen: {
    placeholder: "ADDR",
    takes: ADDRESS_TAKES,
    default: "127.0.0.1:8087",
    repeatable: true,
    help:
      "address of the public listener, for nodes that boot: discovery by v2 (/new, /TOKEN, /health) and v3 (gRPC); " +
      "port 0: any free one",
  },
  "client-listen": {
    placeholder: "ADDR",
    takes: ADDRESS_TAKES,
    default: "127.0.0.1:8088",
    repeatable: true,
    help:
      "address of the client listener: the whole keyspace by etcd's v2 API (/v2/keys) and v3 API (gRPC), without " +
      "authentication",
  },
  "data-dir": {
    placeholder: "DIR",
    takes: "the path of a directory",
    default: "./muster-data",
    help: "directory of the embedded store; one process at a time owns it",
  },
  store: {
    placeholder: "URL",
    takes: 'etcd:// (in clear) or etcds:// (TLS) and hosts, such as "etcd://10.0.0.1:2379,10.0.0.2:2379"',
    help:
      "an etcd cluster (3.4 or newer) that keeps the data, instead of the embedded store of --data-dir: " +
      "etcd://H1:2379,H2:2379,… in clear, etcds://… with TLS; any number of Musters may have the same one",
  },
  "store-prefix": {
    placeholder: "PREFIX",
    takes: 'a text of up to 256 bytes that ends with "/", such as "/muster/"',
    help:
      "what every key in --store begins with, where others keep keys there too: Muster sees and touches only its own; " +
      "without it Muster must be the only one",
  },
  "store-ca": {
    placeholder: "FILE",
    takes: "the path of a PEM file",
    help: "certificates to trust for --store etcds://…; without it the well-known ones",
  },
  "store-cert": {
    placeholder: "FILE",
    takes: "the path of a PEM file",
    help: "certificate by which the etcd of --store knows Muster; with --store-key",
  },
  "store-key": {
    placeholder: "FILE",
    takes: "the path of a PEM file",
    help: "private key of --store-cert, without a passphrase",
  },
  "store-user": {
    placeholder: "NAME",
    takes: "the name of a user",
    help: "user of the etcd of --store, where its authentication is on; with --store-password-file",
  },
  "store-password-file": {
    placeholder: "FILE",
    takes: "the path of a file",
    help: "file with the password of --store-user",
  },
  "public-url": {
    placeholder: "URL",
    takes: 'an http:// or https:// URL without user, query and fragment, such as "https://discovery.example.com"',
    help:
      "URL by which nodes reach the public listener, put before the tokens that /new gives (a path is kept: the " +
      "proxy that serves it must strip it); without it the Host of each request is used",
  },
  "token-ttl": {
    placeholder: "DURATION",
    takes: `a duration ${DURATION_TAKES}, or 0 for never`,
    default: "168h",
    help: "how long after its last registration a token expires; 0: never",
  },
  "trust-proxy": {
    takes: "true or false",
    default: "false",
    help:
      "believe X-Forwarded-For, -Proto and -Host on every listener, the last value of each; only where no client " +
      "can get around the proxy",
  },
  "client-allowed-host": {
    placeholder: "NAME",
    takes: 'the name of a host without a port, such as "muster.example.com"',
    repeatable: true,
    help: "another Host that the client listener answers to, besides localhost, IP addresses and this machine's name",
  },
  "advertise-client-urls": {
    placeholder: "URLS",
    takes: 'http:// or https:// URLs without user, query and fragment, such as "http://10.0.0.5:8088"',
    repeatable: true,
    help:
      "URLs by which v2 clients reach the client listener: they follow what /v2/members and /v2/machines say; without " +
      "it the address by which each request came",
  },
  "auto-compaction-retention": {
    placeholder: "DURATION",
    takes: `a duration ${DURATION_TAKES}, or 0 for no automatic compaction`,
    default: formatDuration(COMPACTION_KEEP_MS),
    help:
      "history of this length is kept, or of --auto-compaction-revisions, whichever is more, but no more than 64 MiB " +
      "or half of what lives; 0: all of it; with --store nothing is compacted unless one of the two is given",
  },
  "auto-compaction-revisions": {
    placeholder: "COUNT",
    takes: "a whole number, such as 10000",
    default: `${COMPACTION_KEEP_REVISIONS}`,
    help: "so many revisions of history are kept, or those of --auto-compaction-retention, whichever are more",
  },
  "max-connections": {
    placeholder: "COUNT",
    takes: "a whole number from 1 to 1000000",
    default: `${DEFAULT_MAX_CONNECTIONS}`,
    help: "connections open at a time on each address; those beyond it are answered 503",
  },
  "max-request-bytes": {
    placeholder: "BYTES",
    takes: "a whole number of bytes from 1024 to 1073741824",
    default: `${V2_BODY_BYTES}`,
    help: "size of the largest request body",
  },
  "tls-cert": {
    placeholder: "FILE",
    takes: "the path of a PEM file",
    help: "certificate (and those between it and its root) with which every listener speaks TLS; with --tls-key",
  },
  "tls-key": {
    placeholder: "FILE",
    takes: "the path of a PEM file",
    help: "private key of --tls-cert, without a passphrase",
  },
  "log-level": {
    placeholder: "LEVEL",
    takes: `one of ${LOG_LEVELS.join(", ")}`,
    default: "info",
    help: `how much is logged, on stderr: ${LOG_LEVELS.join(", ")} (debug: every request)`,
  },
  "log-format": {
    placeholder: "FORMAT",
    takes: `one of ${LOG_FORMATS.join(", ")}`,
    default: "auto",
    help: "pretty: for people; json: a line of JSON each; auto: pretty on a terminal, json otherwise",
  },
};

export const OPTION_NAMES: readonly OptionName[] = optionsSchema.keyof().options;

/** Those that say where the keys are. */
export const STORE_OPTION_NAMES: readonly (keyof StoreOptions)[] = storeOptionsSchema.keyof().options;

/** The environment variable of an option: `client-listen` is MUSTER_CLIENT_LISTEN. */
export function variableOf(option: string): string {
  return `MUSTER_${option.toUpperCase().replaceAll("-", "_")}`;
}
