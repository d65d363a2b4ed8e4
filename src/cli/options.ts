/** Options of the commands, made of the table in server/config-options. */
import { type Command, type Help, Option } from "commander";
import { OPTION_TEXTS, type OptionName, variableOf } from "../server/config-options.ts";

const HELP_WIDTH = 90;

/** Adds options to a command, whose help then has each on lines of its own. */
export function addOptions(command: Command, names: readonly OptionName[]): void {
  command.configureHelp({ formatItem: formatOption });
  for (const name of names) command.addOption(optionOf(name));
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
export function givenFlags(command: Command): Record<string, readonly string[]> {
  const flags: Record<string, readonly string[]> = {};
  for (const option of command.options) {
    const value: unknown = command.getOptionValue(option.attributeName());
    if (value === undefined) continue;
    flags[option.name()] = Array.isArray(value) ? value.map(String) : [String(value)];
  }
  return flags;
}
