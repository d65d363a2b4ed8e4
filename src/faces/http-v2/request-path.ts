/** The path of a request as Go's server reads it before any handler: unescaped, and cleaned by a redirect. */
import { text, utf8 } from "../../base/bytes.ts";
import { parsePath } from "../../domain/tree/tree-path.ts";
import { unescapeBytes } from "./form.ts";

/** A path without percent signs; bytes that are no UTF-8 become U+FFFD. Error: `invalidField`. */
export function decodePath(rawPath: string): string {
  return rawPath.includes("%") ? text(unescapeBytes(utf8(rawPath), { plusIsSpace: false })) : rawPath;
}

/** As Go's ServeMux cleans paths, which redirects to the clean one: a trailing slash stays. */
export function cleanPath(path: string): string {
  const clean = parsePath(path);
  return path.endsWith("/") && clean !== "/" ? `${clean}/` : clean;
}
