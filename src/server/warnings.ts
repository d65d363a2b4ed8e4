/** What an operator should be told of a configuration that is sound, and yet perhaps not what was meant. */
import { NO_BYTES } from "../base/bytes.ts";
import type { Log } from "../base/log.ts";
import { isInternal } from "../domain/keyspace/client-keys.ts";
import type { Engine } from "../engine/engine.ts";
import type { Config } from "./config.ts";
import type { ListenAddress } from "./config-values.ts";
import type { StoreConfig } from "./store-config.ts";

/** The warnings, a line each. */
export function warningsOf({
  clientListen,
  publicUrl,
  store,
  tls,
}: Pick<Config, "clientListen" | "publicUrl" | "store" | "tls">): readonly string[] {
  const open = clientListen.filter((address) => !isLoopback(address)).map(({ text }) => text);
  const warnings: string[] = [];
  if (open.length > 0) {
    warnings.push(
      `Let only machines that you trust reach --client-listen ${open.join(", ")}: whoever does can read all tokens and write every key, without authentication`,
    );
  }
  if (tls !== undefined && publicUrl?.startsWith("http:")) {
    warnings.push(
      `Let --public-url begin with https://, unless a proxy answers at ${publicUrl}: with --tls-cert Muster itself answers no http://`,
    );
  }
  if (store.kind === "etcd" && publicUrl === undefined) {
    warnings.push(
      "Give every Muster over this etcd the same --public-url: without it each puts its own address before the tokens of /new, and nodes that were given different URLs of a token do not form one cluster",
    );
  }
  return warnings;
}

/**
 * The warnings about what is in the store, a line each. To be asked before anything is written to it. Never fails: a
 * store that cannot be read now is logged, and spoken of by whoever needs it next.
 */
export async function warningsOfStore({
  store,
  engine,
  log,
}: {
  readonly store: StoreConfig;
  readonly engine: Pick<Engine, "range">;
  readonly log: Log;
}): Promise<readonly string[]> {
  if (store.kind !== "etcd" || store.prefix !== "") return [];
  try {
    return (await holdsOnlyForeignKeys(engine)) ? [FOREIGN_KEYS] : [];
  } catch (err) {
    log.warn({ err }, "it could not be found out whether the etcd holds keys that are not Muster's");
    return [];
  }
}

const FOREIGN_KEYS =
  "Give --store-prefix, unless all keys of this etcd are meant to be Muster's too: it holds some, and none of those that " +
  "Muster makes for itself. Without a prefix whoever reaches --client-listen can read and write every key, without " +
  "authentication, and Muster puts its own among them";

/** What Muster makes for itself stands before all else, so that the first key tells. */
async function holdsOnlyForeignKeys(engine: Pick<Engine, "range">): Promise<boolean> {
  const everything = { key: NO_BYTES, end: null };
  const { kvs } = await engine.range({ ...everything, limit: 1, keysOnly: true, uncounted: true });
  const [first] = kvs;
  return first !== undefined && !isInternal(first.key);
}

const LOOPBACK = /^(?:localhost|127(?:\.\d+){3}|::1)$/i;

function isLoopback({ host }: ListenAddress): boolean {
  return host !== undefined && LOOPBACK.test(host);
}
