/** The command line: commands, help, and errors in one line with exit code 2. */
import { Command, CommanderError } from "commander";
import { isMusterError } from "../base/errors.ts";
import { musterVersion } from "../base/version.ts";
import { exportCommand } from "./export.ts";
import { importCommand } from "./import.ts";
import { restoreCommand } from "./restore.ts";
import { serveCommand } from "./serve.ts";

/** What a command line comes with; `process` has all of it. */
export interface Invocation {
  /** Arguments after `muster`. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
}

export const EXIT_OK = 0;
export const EXIT_FAILURE = 1;
/** A wrong option, variable or configuration file. */
export const EXIT_USAGE = 2;

/** Runs one command; the exit code, when it has ended. Never throws. */
export async function runMuster(invocation: Invocation): Promise<number> {
  const program = buildProgram(invocation);
  try {
    await program.parseAsync(invocation.args, { from: "user" });
    return EXIT_OK;
  } catch (error) {
    // Commander has said what is wrong, or has printed the help or version that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
    invocation.stderr(`muster: ${describe(error)}\n`);
    return isMusterError(error, "configInvalid") ? EXIT_USAGE : EXIT_FAILURE;
  }
}

function buildProgram(invocation: Invocation): Command {
  const program = new Command("muster")
    .description("Brings machines together as one etcd cluster: a discovery service for your own network.")
    .version(musterVersion(), "--version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .exitOverride()
    .configureOutput({
      writeOut: invocation.stdout,
      writeErr: invocation.stderr,
      outputError: (text, write) => write(`muster: ${oneLine(text)}\n`),
    });
  serveCommand(program, invocation);
  restoreCommand(program, invocation);
  exportCommand(program, invocation);
  importCommand(program, invocation);
  return program;
}

/** Commander puts "(Did you mean …?)" on a line of its own. */
function oneLine(text: string): string {
  return text
    .replace(/^error: /, "")
    .trim()
    .replaceAll("\n", " ");
}

/** One line without a stack for what people can mend; a defect shows where it is. */
function describe(error: unknown): string {
  if (isMusterError(error)) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
