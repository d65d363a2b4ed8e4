/** Answers that need nothing of their request: refusals. */
import type { StreamUser } from "./server-stream.ts";

/** Whoever has answered at once: what still comes is dropped, and that the client has gone needs nothing done about it. */
export const NO_USER: StreamUser = { onData: ignore, onEnd: ignore, onDrain: ignore, onClose: ignore };

function ignore(): void {
  // Nobody is told.
}
