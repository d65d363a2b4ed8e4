/** Fills in what a program leaves open in its paths and bodies. */
import type { CaseScope } from "../conformance/case-scope.ts";

const LONG_VALUE_CHARS = 3_000;
const IN_ORDER_DIGITS = 20;

/**
 * `{{dir}}`: the program's directory; `{{start+3}}`: an index counted from the program's start; `{{seq+3}}`: the name of
 * the in-order key of that index; `{{long}}`: a text that fills no single piece of an answer.
 */
export function expand(template: string, { directory, startIndex }: CaseScope): string {
  return template.replace(/\{\{(dir|long|start|seq)([+-]\d+)?\}\}/g, (_, what: string, offset: string = "0") => {
    if (what === "dir") return directory;
    if (what === "long") return "l".repeat(LONG_VALUE_CHARS);
    const index = Math.max(startIndex + Number(offset), 0);
    return what === "seq" ? String(index).padStart(IN_ORDER_DIGITS, "0") : String(index);
  });
}
