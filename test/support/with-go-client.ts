import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const script = fileURLToPath(new URL("../../scripts/go-client.mjs", import.meta.url));

/** How the script exits where there is no Go that is new enough. */
const NO_GO = 3;

/** The Go client of gRPC's interoperability tests, or why there is none; with CI=true a build that fails is an error. */
export async function goClient(): Promise<{ readonly program: string } | { readonly missing: string }> {
  try {
    return { program: (await run(process.execPath, [script])).stdout.trim() };
  } catch (error) {
    const isMissing = error instanceof Error && Reflect.get(error, "code") === NO_GO;
    if (!isMissing && process.env.CI === "true") {
      throw new Error("let the Go client build: CI must test gRPC with it", { cause: error });
    }
    console.warn(error instanceof Error ? error.message : String(error));
    return { missing: "no Go client could be built (node scripts/go-client.mjs says why)" };
  }
}
