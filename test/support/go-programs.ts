/** Programs that scripts of the project build with the machine's Go. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);

/** How the scripts exit where there is no Go that is new enough. */
const NO_GO = 3;

export interface GoScript {
  /** In scripts/. */
  readonly name: string;
  readonly parameters?: readonly string[];
  /** What CI must do with it: a build that fails is an error there. */
  readonly purpose: string;
}

/** What the script prints, or why the program is missing. */
export async function goProgram(
  script: GoScript,
): Promise<{ readonly printed: string } | { readonly missing: string }> {
  const { name, parameters = [], purpose } = script;
  const file = fileURLToPath(new URL(`../../scripts/${name}`, import.meta.url));
  try {
    return { printed: (await run(process.execPath, [file, ...parameters])).stdout.trim() };
  } catch (error) {
    const command = ["node", `scripts/${name}`, ...parameters].join(" ");
    const isMissing = error instanceof Error && Reflect.get(error, "code") === NO_GO;
    if (!isMissing && process.env.CI === "true") {
      throw new Error(`let ${command} build: CI must ${purpose}`, { cause: error });
    }
    console.warn(error instanceof Error ? error.message : String(error));
    return { missing: `it could not be built with Go (${command} says why)` };
  }
}
