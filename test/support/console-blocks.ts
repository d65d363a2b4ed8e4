/** Sessions in our documents that tests run: fenced blocks whose info string is `console test`. */

export interface ConsoleCommand {
  readonly command: string;
  /** The lines that the document shows below it. */
  readonly output: readonly string[];
}

/** The blocks of a Markdown text, each as its commands (`$ …`, going on where a line ends in a backslash). */
export function consoleBlocks(markdown: string): readonly (readonly ConsoleCommand[])[] {
  const blocks = markdown.matchAll(/^```console test\n(.*?)^```$/gms);
  return [...blocks].map(([, body = ""]) => readCommands(body));
}

function readCommands(body: string): readonly ConsoleCommand[] {
  const lines = body.replace(/\n$/, "").split("\n");
  const commands: { command: string; output: string[] }[] = [];
  for (const line of lines) {
    const last = commands.at(-1);
    if (line.startsWith("$ ")) {
      commands.push({ command: line.slice(2), output: [] });
    } else if (last === undefined) {
      throw new Error(`begin the console block with a line "$ command": it begins with "${line}"`);
    } else if (last.output.length === 0 && last.command.endsWith("\\")) {
      last.command += `\n${line}`;
    } else {
      last.output.push(line);
    }
  }
  return commands;
}

/**
 * A pattern for the output that a document shows. What is new in every run may differ: tokens and etcd's ids (16 or 32
 * hex digits), and whatever `…` stands for, within a line or as a line for any number of lines.
 */
export function outputPattern(lines: readonly string[]): RegExp {
  const patterns = lines.map((line) => (line.trim() === "…" ? "(?:.*\\n)*?" : `${linePattern(line)}\\s*\\n`));
  return new RegExp(`^\\s*${patterns.join("")}\\s*$`);
}

function linePattern(line: string): string {
  return line
    .trimEnd()
    .split("…")
    .map((part) =>
      part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\b(?:[0-9a-f]{32}|[0-9a-f]{16})\b/g, "[0-9a-f]+"),
    )
    .join(".*");
}
