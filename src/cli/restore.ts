/** `muster restore`: makes a data directory of a snapshot. */
import type { Command } from "commander";
import { restoreSnapshot } from "../server/compose.ts";
import type { Invocation } from "./program.ts";

const DESCRIPTION =
  "Makes a data directory of a snapshot that `etcdctl snapshot save` took of a Muster. The directory must be empty or " +
  "not there yet; `muster serve` is then started with it.";

/** Adds the command to `parent`. */
export function restoreCommand(parent: Command, { stdout }: Invocation): Command {
  return parent
    .command("restore")
    .description(DESCRIPTION)
    .argument("<snapshot>", "the file that was saved")
    .requiredOption("--data-dir <dir>", "where to restore it")
    .action(async (file: string, { dataDir }: { readonly dataDir: string }) => {
      await restoreSnapshot({ file, directory: dataDir });
      stdout(`Restored "${file}". Start it with: muster serve --data-dir ${dataDir}\n`);
    });
}
