/** `muster serve`: reads the options, runs the service, prints the banner. */
import { type Command, type Help, Option } from "commander";
import { systemClock } from "../base/clock.ts";
import { createLog } from "../base/log.ts";
import { musterVersion } from "../base/version.ts";
import { banner } from "../server/banner.ts";
import { compose } from "../server/compose.ts";
import { type Config, loadConfig } from "../server/config.ts";
import { OPTION_NAMES, OPTION_TEXTS, type OptionName, variableOf } from "../server/config-options.ts";
import { runService } from "../server/lifecycle.ts";
import type { Service } from "../server/service.ts";
import type { Invocation } from "./program.ts";

const DESCRIPTION = "Runs the discovery service and its embedded store until it gets SIGTERM or SIGINT.";

const AFTER_HELP = `
Each option can also be given by its variable (several values separated by commas), or in the file that --config names,
as YAML with the option's name as key:

  listen: [127.0.0.1:8087, 10.0.0.5:8087]
  token-ttl: 72h

A flag stands above the variable, the variable above the file, the file above the default.`;

const HELP_WIDTH = 90;

/** Adds the command to `parent`, its options made of the table in server/config-options. */
export function serveCommand(parent: Command, invocation: Invocation): Command {
  const command = parent
    .command("serve")
    .description(DESCRIPTION)
    .configureHelp({ formatItem: formatOption })
    .addHelpText("after", AFTER_HELP);
  for (const name of OPTION_NAMES) command.addOption(optionOf(name));
  command.addOption(new Option("--config <file>", `a YAML file with options (env: ${variableOf("config")})`));
  return command.action(async () => {
    await serve(loadConfig({ flags: givenFlags(command), env: invocation.env }), invocation);
  });
}

async function serve(config: Config, { stdout }: Invocation): Promise<void> {
  const log = createLog({ level: config.logLevel, format: config.logFormat });
  const onReady = ({ addresses }: Service) => {
    const { dataDir, publicUrl } = config;
    stdout(banner({ ...addresses, version: musterVersion(), dataDir, publicUrl }));
    log.info({ ...addresses, dataDir }, "ready");
  };
  await runService({ config, log, clock: systemClock, compose, control: process, onReady });
}

function optionOf(name: OptionName): Option {
  const { placeholder, help, repeatable, default: fallback } = OPTION_TEXTS[name];
  const value = placeholder === undefined ? "[true|false]" : `<${placeholder.toLowerCase()}>`;
  const notes = [
    ...(fallback === undefined ? [] : [`default: ${fallback}`]),
    `env: ${variableOf(name)}`,
    ...(repeatable === true ? ["repeatable"] : []),
  ];
  return new Option(`--${name} ${value}`, `${help} (${notes.join(", ")})`).argParser(collect);
}

/** The name on a line, what it is for on the next: side by side would leave too little width for sentences. */
function formatOption(...[term, , description, help]: Parameters<Help["formatItem"]>): string {
  const lines = help.boxWrap(description, HELP_WIDTH).split("\n");
  return [`  ${term}`, ...lines.map((line) => `      ${line}`)].join("\n");
}

function collect(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), text];
}

/** The options of the command line by name; a switch that stands alone is true. */
function givenFlags(command: Command): Record<string, readonly string[]> {
  const flags: Record<string, readonly string[]> = {};
  for (const option of command.options) {
    const value: unknown = command.getOptionValue(option.attributeName());
    if (value === undefined) continue;
    flags[option.name()] = Array.isArray(value) ? value.map(String) : [String(value)];
  }
  return flags;
}
