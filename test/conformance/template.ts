/** Fills in what a transcript leaves open in its paths, headers and bodies: `{{dir}}`, `{{a.node.modifiedIndex+1}}`, … */

import type { CaseScope } from "./case-scope.ts";
import { valueAt } from "./json.ts";

/** Stands for a field that the server's answer did not have; the step then fails visibly instead of the runner. */
const MISSING = "unknown";

export function expandTemplate(template: string, scope: CaseScope): string {
  return template.replace(/\{\{(.+?)\}\}/gs, (_, expression: string) => evaluate(expression, scope));
}

function evaluate(expression: string, scope: CaseScope): string {
  if (expression === "dir") {
    return scope.directory;
  }
  if (expression === "fresh") {
    return scope.freshToken;
  }
  const [, unit, times] = /^repeat:(.+):(\d+)$/s.exec(expression) ?? [];
  if (unit !== undefined) {
    return unit.repeat(Number(times));
  }
  const [, path, offset] = /^([\w.-]+?)([+-]\d+)?$/.exec(expression) ?? [];
  if (path === undefined) {
    throw new Error(`teach template.ts the expression "{{${expression}}}": it knows none like it`);
  }
  const value = path === "start" ? scope.startIndex : fieldOfAnswer(path.split("."), scope);
  if (value === undefined) {
    return MISSING;
  }
  return String(offset === undefined ? value : Number(value) + Number(offset));
}

function fieldOfAnswer([id = "", ...path]: readonly string[], scope: CaseScope): string | number | undefined {
  const answer = scope.answers.get(id);
  if (answer?.kind !== "response") {
    return undefined;
  }
  const [first = "", second = ""] = path;
  if (first === "token") {
    return answer.token;
  }
  if (first === "header") {
    return answer.headers[second];
  }
  const value = valueAt(answer.json, path);
  return typeof value === "string" || typeof value === "number" ? value : undefined;
}
