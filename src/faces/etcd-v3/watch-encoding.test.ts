import { describe, expect, it } from "vitest";
import { utf8 } from "../../base/bytes.ts";
import { WatchResponse } from "../../proto/etcdserverpb.ts";
import { type EventsMessage, encodedEvents, encodedPart } from "./watch-encoding.ts";
import { NO_RESPONSE, wireEvent } from "./watch-responses.ts";

const kv = { key: utf8("k"), value: utf8("v"), createRevision: 2, modRevision: 3, version: 2, lease: 7n };
const message = (value: string): EventsMessage => ({
  kind: "events",
  revision: 3,
  events: [{ kind: "put", kv: { ...kv, value: utf8(value) }, prevKv: kv }],
});

describe("encodedEvents", () => {
  it("are made once for a message, and anew for another one", () => {
    const one = message("a");
    expect(encodedEvents(one)).toBe(encodedEvents(one));
    expect(encodedEvents(message("a"))).not.toBe(encodedEvents(one));
    expect(encodedEvents(message("b"))).not.toEqual(encodedEvents(one));
  });

  it("with the other parts, and several of them, are the response byte for byte", () => {
    const header = { clusterId: 1n, memberId: 2n, revision: 4, raftTerm: 2 };
    const told = [message("a"), message("b")];
    const events = told.flatMap((one) => one.events.map(wireEvent));
    for (const watchId of [0n, 1n, 300n, 2n ** 62n, -1n]) {
      const parts = [encodedPart({ header }), encodedPart({ watchId }), ...told.map(encodedEvents)];
      const whole = WatchResponse.encode({ ...NO_RESPONSE, header, watchId, events }).finish();
      expect(Buffer.concat(parts), `${watchId}`).toEqual(Buffer.from(whole));
    }
  });
});
