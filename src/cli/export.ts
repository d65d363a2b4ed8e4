/** `muster export`: writes all of a store to a file, to be imported into another one. */
import { type Command, Option } from "commander";
import { systemClock } from "../base/clock.ts";
import { silentLog } from "../base/log.ts";
import { loadStoreConfig } from "../server/config.ts";
import { STORE_OPTION_NAMES, variableOf } from "../server/config-options.ts";
import { exportFrom } from "../server/move-store.ts";
import { addOptions, givenFlags } from "./options.ts";
import type { Invocation } from "./program.ts";

const DESCRIPTION =
  "Writes all that a store holds at one moment to a file, which must not be there yet: to be read by `muster import`. A " +
  "Muster that uses a data directory must be stopped first; over etcd others may go on, but what they write after that " +
  "moment is not in the file.";

/** Adds the command to `parent`. */
export function exportCommand(parent: Command, { stdout, env }: Invocation): Command {
  const command = parent.command("export").description(DESCRIPTION).argument("<file>", "the file to write");
  addOptions(command, STORE_OPTION_NAMES);
  command.addOption(new Option("--config <file>", `a YAML file with options (env: ${variableOf("config")})`));
  return command.action(async (file: string) => {
    const store = loadStoreConfig({ flags: givenFlags(command), env });
    const { revision, keys, leases } = await exportFrom({ store, file, clock: systemClock, log: silentLog });
    const live = store.kind === "embedded" ? "" : " What is written later is not in it.";
    const empty = keys === 0 ? " Look whether it is the store that you meant: it is empty." : "";
    stdout(`Exported revision ${revision} with ${keys} keys and ${leases} leases to "${file}".${live}${empty}\n`);
  });
}
