/** What one run of a case knows and has seen so far. */
import type { Json } from "./json.ts";

/** What came of a step. */
export type Answer =
  | ResponseAnswer
  | StreamAnswer
  /** The long poll had not answered when its time was over. */
  | { readonly kind: "pending" }
  | { readonly kind: "failed"; readonly reason: string };

export type Headers = Readonly<Record<string, string>>;

export interface ResponseAnswer {
  readonly kind: "response";
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: Json | undefined;
  /** The token whose URL the body is. */
  readonly token: string | undefined;
  /** ms since 1970. */
  readonly receivedAt: number;
}

export interface StreamAnswer {
  readonly kind: "stream";
  readonly status: number;
  readonly headers: Headers;
  readonly events: readonly Json[];
  /** Whether the server ended the stream. */
  readonly ended: boolean;
  readonly receivedAt: number;
}

export interface CaseScope {
  /** The case's own top-level directory, with its slash; empty for discovery. */
  readonly directory: string;
  /** A well-formed token that nobody made; empty for the keys API. */
  readonly freshToken: string;
  /** The index that the case's indices are counted from; NaN where the server gave none. */
  readonly startIndex: number;
  /** ms since 1970. */
  readonly beganAt: number;
  /** The tokens that were given out, in order. */
  readonly tokens: string[];
  /** What stands before the token in the URLs given out (`http://host:port`); empty before the first. */
  host: string;
  /** Answers by the id of their step. */
  readonly answers: Map<string, Answer>;
}

/** Remembers the token where `text` is the URL of one, and gives it. */
export function noteToken(scope: CaseScope, text: string): string | undefined {
  const [, host, token] = /^(https?:\/\/.+)\/([0-9a-f]{32})$/.exec(text.trim()) ?? [];
  if (host !== undefined && token !== undefined) {
    scope.host = host;
    if (!scope.tokens.includes(token)) {
      scope.tokens.push(token);
    }
  }
  return token;
}
