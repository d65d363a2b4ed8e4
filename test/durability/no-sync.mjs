// node --import no-sync.mjs: whoever opens LMDB in this process gets it with its syncing turned off, to see that a test
// notices. (Muster itself has no such option.)
import { register } from "node:module";

const wrapped = `
  import * as lmdb from "lmdb?real";
  export * from "lmdb?real";
  export const open = (options) => lmdb.open({ ...options, noSync: true, noMetaSync: true });`;
const hooks = `
  export async function resolve(name, context, next) {
    if (name === "lmdb?real") {
      return next("lmdb", { ...context, parentURL: ${JSON.stringify(import.meta.url)} });
    }
    return name === "lmdb" ? { url: "muster:lmdb", shortCircuit: true } : next(name, context);
  }
  export async function load(url, context, next) {
    return url === "muster:lmdb"
      ? { format: "module", source: ${JSON.stringify(wrapped)}, shortCircuit: true }
      : next(url, context);
  }`;

register(`data:text/javascript,${encodeURIComponent(hooks)}`);
