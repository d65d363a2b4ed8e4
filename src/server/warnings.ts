/** What an operator should be told of a configuration that is sound, and yet perhaps not what was meant. */
import type { Config } from "./config.ts";
import type { ListenAddress } from "./config-values.ts";

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

const LOOPBACK = /^(?:localhost|127(?:\.\d+){3}|::1)$/i;

function isLoopback({ host }: ListenAddress): boolean {
  return host !== undefined && LOOPBACK.test(host);
}
