/** What a peer sent is no HPACK. */

/**
 * A header block that cannot be decoded. What the connection's table of fields holds is unknown from here on, so the
 * connection ends with COMPRESSION_ERROR (RFC 9113 section 4.3).
 */
export class HpackError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "HpackError";
  }
}
