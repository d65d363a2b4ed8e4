/** A header or trailer field of HTTP/2, a pseudo-header field (":path") included. */

/** What RFC 7541 section 4.1 (and 9113 section 6.5.2) counts for a field beside its name and value. */
export const FIELD_OVERHEAD_BYTES = 32;

/** The characters of a name: those of a token (RFC 9110 section 5.6.2), without capitals (RFC 9113 section 8.2.1). */
const NAME_CHARACTERS = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz";

const IS_IN_NAME = new Uint8Array(256);
for (const character of NAME_CHARACTERS) IS_IN_NAME[character.charCodeAt(0)] = 1;

/** Fields that say something of one connection, which in HTTP/2 frames say (RFC 9113 section 8.2.2). */
export const OF_CONNECTION: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

const LAST_OCTET = 0xff;
const COLON = 0x3a;
const SPACE = 0x20;
const TAB = 0x09;
const CR = 0x0d;
const LF = 0x0a;

/**
 * One field. Name and value are latin1: a character for each octet. A field does not change, so those of HPACK's tables
 * serve every request that names them, and what there is to find out about a field is found out once.
 */
export class Field {
  readonly name: string;
  readonly value: string;
  /** Its size as limits count it: name, value, and 32. */
  readonly bytes: number;
  /**
   * Whether a message may have it; one that has any other is malformed (RFC 9113 sections 8.2.1 and 8.2.2). Whether a
   * pseudo-header field is one that exists, and where it must be, is not looked at.
   */
  readonly isSound: boolean;

  constructor(name: string, value: string) {
    this.name = name;
    this.value = value;
    this.bytes = name.length + value.length + FIELD_OVERHEAD_BYTES;
    this.isSound = isSoundName(name) && isSoundValue(value) && isOfMessage(name, value);
  }
}

function isSoundName(name: string): boolean {
  const begin = name.charCodeAt(0) === COLON ? 1 : 0;
  if (name.length === begin) return false;
  for (let at = begin; at < name.length; at++) {
    if (IS_IN_NAME[name.charCodeAt(at)] !== 1) return false;
  }
  return true;
}

function isSoundValue(value: string): boolean {
  if (value.length === 0) return true;
  if (isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(value.length - 1))) return false;
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at);
    if (code <= CR && (code === 0 || code === CR || code === LF)) return false;
    // No octet: nobody can send it.
    if (code > LAST_OCTET) return false;
  }
  return true;
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

function isOfMessage(name: string, value: string): boolean {
  if (name === "te") return value.toLowerCase() === "trailers";
  return !OF_CONNECTION.has(name);
}
