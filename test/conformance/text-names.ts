/** Replaces what is new in every run within a text: the directory, tokens, the host, names of in-order keys. */
import { createHash } from "node:crypto";
import type { CaseScope } from "./case-scope.ts";
import type { IndexNames } from "./index-names.ts";
import { eachObject, type Json } from "./json.ts";

/** A longer text is recorded by its length and hash. */
const MAX_TEXT_CHARS = 600;
const HASH_CHARS = 24;

export type TextNames = (text: string) => string;

/** `bodies`: everything that the case was answered. */
export function textNames(scope: CaseScope, indices: IndexNames, bodies: readonly Json[]): TextNames {
  const unpadded = unpaddedNames(bodies);
  const stand: [string, string][] = [
    [scope.directory, "<dir>"],
    ...scope.tokens.map((token, i): [string, string] => [token, i === 0 ? "<token>" : `<token${i + 1}>`]),
    [scope.freshToken, "<fresh>"],
    [scope.host, "<host>"],
  ];
  return (text) => {
    let named = text;
    for (const [found, name] of stand) {
      named = found === "" ? named : named.replaceAll(found, name);
    }
    named = named.replace(/(?<=\/)\d{20}(?=\/|$)/g, (digits) => `<seq ${indices.own(Number(digits))}>`);
    named = named.replace(/(?<=\/)\d+(?=\/|$)/g, (digits) =>
      unpadded.has(digits) ? `<unpadded seq ${indices.own(Number(digits))}>` : digits,
    );
    return named.length > MAX_TEXT_CHARS ? digest(named) : named;
  };
}

function digest(text: string): string {
  const hash = createHash("sha256").update(text).digest("hex").slice(0, HASH_CHARS);
  return `<${text.length} chars, sha256 ${hash}>`;
}

/** etcd 2.0 names in-order keys by their index without padding it to twenty digits. */
function unpaddedNames(bodies: readonly Json[]): ReadonlySet<string> {
  const names = new Set<string>();
  eachObject([...bodies], ({ key, createdIndex }) => {
    if (typeof key === "string" && typeof createdIndex === "number" && key.endsWith(`/${createdIndex}`)) {
      names.add(String(createdIndex));
    }
  });
  return names;
}
