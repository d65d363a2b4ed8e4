/** `muster serve`: reads the options, runs the service, prints the banner. */
import { type Command, Option } from "commander";
import { systemClock } from "../base/clock.ts";
import { createLog } from "../base/log.ts";
import { musterVersion } from "../base/version.ts";
import { banner } from "../server/banner.ts";
import { compose } from "../server/compose.ts";
import { type Config, loadConfig } from "../server/config.ts";
import { OPTION_NAMES, variableOf } from "../server/config-options.ts";
import { runService } from "../server/lifecycle.ts";
import type { Service } from "../server/service.ts";
import { describeStore } from "../server/store-config.ts";
import { warningsOf } from "../server/warnings.ts";
import { addOptions, givenFlags } from "./options.ts";
import type { Invocation } from "./program.ts";

const DESCRIPTION =
  "Runs the discovery service until it gets SIGTERM or SIGINT, on its embedded store or on an etcd cluster (--store).";

const AFTER_HELP = `
Each option can also be given by its variable (several values separated by commas), or in the file that --config names,
as YAML with the option's name as key:

  listen: [127.0.0.1:8087, 10.0.0.5:8087]
  token-ttl: 72h

A flag stands above the variable, the variable above the file, the file above the default.`;

/** Adds the command to `parent`, its options made of the table in server/config-options. */
export function serveCommand(parent: Command, invocation: Invocation): Command {
  const command = parent.command("serve").description(DESCRIPTION).addHelpText("after", AFTER_HELP);
  addOptions(command, OPTION_NAMES);
  command.addOption(new Option("--config <file>", `a YAML file with options (env: ${variableOf("config")})`));
  return command.action(async () => {
    await serve(loadConfig({ flags: givenFlags(command), env: invocation.env }), invocation);
  });
}

async function serve(config: Config, { stdout }: Invocation): Promise<void> {
  const log = createLog({ level: config.logLevel, format: config.logFormat });
  const onReady = ({ addresses, warnings: ofStore }: Service) => {
    const { publicUrl } = config;
    const store = describeStore(config.store);
    const warnings = [...warningsOf(config), ...ofStore];
    stdout(banner({ ...addresses, version: musterVersion(), store, publicUrl, warnings }));
    for (const warning of warnings) log.warn({}, warning);
    log.info({ ...addresses, store }, "ready");
  };
  await runService({ config, log, clock: systemClock, compose, control: process, onReady });
}
