/** Figures as Markdown, which docs/performance.md takes as it is. */
import type { Bound, FigureResult, Ratio, Row } from "./figure.ts";
import { shown, shownSpread, spreadOf } from "./statistics.ts";

/** A figure's tables: each value as median and (smallest–largest) over the rounds. */
export function reportOf(result: FigureResult): string {
  const { title, conditions, rows, ratios } = result;
  const lines = [
    `## ${title}`,
    "",
    conditions,
    "",
    ...table(["side", "median (spread)", "unit", "note"], rows.map(rowCells)),
    ...(ratios.length === 0 ? [] : ["", ...table(["ratio", "median (spread)", "wanted", ""], ratios.map(ratioCells))]),
    "",
  ];
  return lines.join("\n");
}

function rowCells({ label, values, unit, note }: Row): readonly string[] {
  return [label, shownSpread(spreadOf(values)), unit, note ?? ""];
}

function ratioCells({ label, values, required, aim }: Ratio): readonly string[] {
  const wanted = [
    ...(required === undefined ? [] : [boundText(required)]),
    ...(aim === undefined ? [] : [`aim ${boundText(aim)}`]),
  ];
  return [label, shownSpread(spreadOf(values)), wanted.join(", "), verdict({ values, required, aim })];
}

/** A figure falls short only if its whole spread does. */
function verdict({ values, required, aim }: Pick<Ratio, "values"> & Record<"required" | "aim", Bound | undefined>) {
  if (required !== undefined && !anyReaches(values, required)) return "falls short";
  if (aim !== undefined && anyReaches(values, aim)) return "aim reached";
  return required === undefined ? "" : "reached";
}

function anyReaches(values: readonly number[], bound: Bound): boolean {
  return values.some((value) => ("atLeast" in bound ? value >= bound.atLeast : value <= bound.atMost));
}

function boundText(bound: Bound): string {
  return "atLeast" in bound ? `≥ ${shown(bound.atLeast)}` : `≤ ${shown(bound.atMost)}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const all = [head, head.map(() => ""), ...rows];
  const widths = head.map((_cell, column) => Math.max(3, ...all.map((row) => [...(row[column] ?? "")].length)));
  return all.map((row, place) => {
    const cells = widths.map((width, column) => (place === 1 ? "-".repeat(width) : (row[column] ?? "").padEnd(width)));
    return `| ${cells.join(" | ")} |`;
  });
}
