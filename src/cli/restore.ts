/** `muster restore`: makes a data directory of a snapshot. */
import type { Command } from "commander";
import { MusterError } from "../base/errors.ts";
import { restoreSnapshot } from "../server/compose.ts";
import { variableOf } from "../server/config-options.ts";
import type { Invocation } from "./program.ts";

const DESCRIPTION =
  "Makes a data directory of a snapshot that `etcdctl snapshot save` took of a Muster. The directory must be empty or " +
  "not there yet; `muster serve` is then started with it.";

const DATA_DIR = variableOf("data-dir");

/** Adds the command to `parent`. */
export function restoreCommand(parent: Command, { stdout, env }: Invocation): Command {
  return parent
    .command("restore")
    .description(DESCRIPTION)
    .argument("<snapshot>", "the file that was saved")
    .option("--data-dir <dir>", `where to restore it (required; env: ${DATA_DIR})`)
    .action(async (file: string, options: { readonly dataDir?: string }) => {
      const directory = options.dataDir || env[DATA_DIR];
      if (!directory) {
        throw new MusterError("configInvalid", `Give --data-dir, or ${DATA_DIR}: where "${file}" is to be restored`);
      }
      await restoreSnapshot({ file, directory });
      stdout(`Restored "${file}". Start it with: muster serve --data-dir ${directory}\n`);
    });
}
