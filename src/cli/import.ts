/** `muster import`: fills an empty store with what `muster export` wrote. */
import { type Command, Option } from "commander";
import { systemClock } from "../base/clock.ts";
import { silentLog } from "../base/log.ts";
import { loadStoreConfig } from "../server/config.ts";
import { STORE_OPTION_NAMES, variableOf } from "../server/config-options.ts";
import { importInto } from "../server/move-store.ts";
import { addOptions, givenFlags } from "./options.ts";
import type { Invocation } from "./program.ts";

const DESCRIPTION =
  "Fills an empty store with what `muster export` wrote: a data directory that is empty or not there yet, an etcd without " +
  "keys and leases, or an unused --store-prefix. `muster serve` is then started on it.";

/** Adds the command to `parent`. */
export function importCommand(parent: Command, { stdout, env }: Invocation): Command {
  const command = parent.command("import").description(DESCRIPTION).argument("<file>", "what was exported");
  addOptions(command, STORE_OPTION_NAMES);
  command.addOption(new Option("--config <file>", `a YAML file with options (env: ${variableOf("config")})`));
  command.addOption(new Option("--again", "delete what an import that did not end has left, and begin anew"));
  return command.action(async (file: string) => {
    const { again, ...flags } = givenFlags(command);
    const store = loadStoreConfig({ flags, env });
    const options = { store, file, again: again !== undefined, clock: systemClock, log: silentLog };
    const { revision, keys, leases } = await importInto(options);
    stdout(`Imported revision ${revision} with ${keys} keys and ${leases} leases from "${file}".\n`);
  });
}
