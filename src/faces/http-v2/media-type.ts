/** Content-Type headers as Go's mime.ParseMediaType reads them: etcd refuses a write whose header it cannot read. */
import { MusterError } from "../../base/errors.ts";

/** What the bodies of forms are. */
export const FORM_TYPE = "application/x-www-form-urlencoded";

/** What a token may consist of: printable ASCII but for Go's "tspecials". */
const TOKEN = "[!#-'*+\\-.0-9A-Z^-~]";
const SPECIAL = '[()<>@,;:\\\\"/[\\]?=]';
const LEADING_TOKEN = new RegExp(`^(${TOKEN}*)(.*)$`, "s");
const QUOTED = `"(?:\\\\${SPECIAL}|\\\\(?!${SPECIAL})|[^"\\\\\\r\\n])*"`;
const PARAMETER = new RegExp(`\\s*;\\s*(${TOKEN}+)\\s*=\\s*(${TOKEN}+|${QUOTED})`, "y");

/**
 * The type without its parameters, in lower case; "" where there is no header. Error: `invalidField` (code 210), in Go's
 * words, also for parameters that nobody would look at.
 */
export function mediaTypeOf(contentType: string | undefined): string {
  if (contentType === undefined || contentType === "") return "";
  // As nearly all clients write theirs.
  if (contentType === FORM_TYPE) return FORM_TYPE;
  const [base = ""] = contentType.split(";", 1);
  const type = base.trim().toLowerCase();
  const wrong = faultOfType(type) ?? faultOfParameters(contentType.slice(base.length));
  if (wrong === undefined) return type;
  const cause = `mime: ${wrong}`;
  throw new MusterError("invalidField", `Correct the Content-Type: ${cause}`, { details: { v2Code: 210, cause } });
}

function faultOfType(type: string): string | undefined {
  const [, name, rest = ""] = LEADING_TOKEN.exec(type) ?? [];
  if (name === "") return "no media type";
  if (rest === "") return undefined;
  if (!rest.startsWith("/")) return "expected slash after first token";
  const [, subtype, left] = LEADING_TOKEN.exec(rest.slice(1)) ?? [];
  if (subtype === "") return "expected token after slash";
  return left === "" ? undefined : "unexpected content after media subtype";
}

function faultOfParameters(written: string): string | undefined {
  const values = new Map<string, string>();
  let end = 0;
  PARAMETER.lastIndex = 0;
  for (let match = PARAMETER.exec(written); match !== null; match = PARAMETER.exec(written)) {
    const [, name = "", value = ""] = match;
    const key = name.toLowerCase();
    if ((values.get(key) ?? value) !== value) return "duplicate parameter name";
    values.set(key, value);
    end = PARAMETER.lastIndex;
  }
  const rest = written.slice(end).trim();
  return rest === "" || rest === ";" ? undefined : "invalid media parameter";
}
