/**
 * Bytes beyond ASCII in a request line: curl sends them as they were typed, Go's servers take them, Node's parser
 * refuses them, and no option changes its mind. They become percent signs before it sees them.
 */

const LINE_FEED = 0x0a;
const FIRST_BEYOND_ASCII = 0x80;

/** The first bytes of a connection with the first line's bytes beyond ASCII as percent signs; mostly there are none. */
export function withEscapedTarget(first: Buffer): Buffer {
  const end = lineEnd(first);
  if (end === undefined) return first;
  const line = first
    .toString("latin1", 0, end)
    .replace(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16)}`);
  return Buffer.concat([Buffer.from(line, "latin1"), first.subarray(end)]);
}

/** Where the first line ends, if it has such bytes. */
function lineEnd(first: Buffer): number | undefined {
  let isBeyond = false;
  for (const [place, byte] of first.entries()) {
    if (byte === LINE_FEED) return isBeyond ? place : undefined;
    isBeyond ||= byte >= FIRST_BEYOND_ASCII;
  }
  return isBeyond ? first.length : undefined;
}
