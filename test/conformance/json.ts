/** JSON as data: the transcripts, the answers and what is made of them for comparing. */
export type Json = null | boolean | number | string | Json[] | JsonObject;

export interface JsonObject {
  [name: string]: Json;
}

export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The object or list that `text` holds; undefined where it holds none (plain texts such as `3` are not JSON here). */
export function parseJson(text: string): Json | undefined {
  if (!/^\s*[[{]/.test(text)) {
    return undefined;
  }
  try {
    const value: Json = JSON.parse(text);
    return value;
  } catch (error) {
    if (error instanceof SyntaxError) {
      return undefined;
    }
    throw error;
  }
}

/** The JSON objects of a streamed answer, whatever separates them; an unfinished one at the end is left out. */
export function parseJsonStream(text: string): Json[] {
  const found: Json[] = [];
  let rest = text;
  for (let start = rest.indexOf("{"); start >= 0; start = rest.indexOf("{")) {
    const end = endOfObject(rest, start);
    if (end === undefined) {
      break;
    }
    found.push(parseJson(rest.slice(start, end)) ?? { unreadable: rest.slice(start, end) });
    rest = rest.slice(end);
  }
  return found;
}

/** Where the object that begins at `start` ends (exclusive). */
function endOfObject(text: string, start: number): number | undefined {
  // A token is a string or a brace; braces within strings do not count.
  const token = /"(?:[^"\\]|\\.)*"|[{}]/gs;
  token.lastIndex = start;
  let open = 0;
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    open += match[0] === "{" ? 1 : match[0] === "}" ? -1 : 0;
    if (open === 0) {
      return token.lastIndex;
    }
  }
  return undefined;
}

/** The value at a dotted path of field names (and list positions); undefined where there is none. */
export function valueAt(json: Json | undefined, path: readonly string[]): Json | undefined {
  let value = json;
  for (const name of path) {
    value = Array.isArray(value) ? value[Number(name)] : isJsonObject(value) ? value[name] : undefined;
  }
  return value;
}

/** Calls `visit` for each object within `json`, itself included. */
export function eachObject(json: Json | undefined, visit: (object: JsonObject) => void): void {
  if (Array.isArray(json)) {
    for (const item of json) {
      eachObject(item, visit);
    }
  } else if (isJsonObject(json)) {
    visit(json);
    for (const item of Object.values(json)) {
      eachObject(item, visit);
    }
  }
}
