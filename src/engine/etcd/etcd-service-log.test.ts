import { beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../base/clock.ts";
import { createLog } from "../../base/log.ts";
import { STORE_DEADLINE_MS } from "../../base/store-limits.ts";
import { EtcdServiceLog } from "./etcd-service-log.ts";

const AT = "127.0.0.1:2379";
const CEASED = "etcd does not serve";
const BACK = "etcd serves again";

describe("what the log is told of etcd's service", () => {
  let lines: string[];
  let now: number;
  let told: EtcdServiceLog;
  beforeEach(() => {
    lines = [];
    now = 0;
    const write = (line: string) => {
      for (const each of [CEASED, BACK, "another endpoint"]) if (line.includes(each)) lines.push(each);
    };
    const log = createLog({ level: "info", format: "json", destination: { write } });
    told = new EtcdServiceLog({ log, clock: { ...systemClock, monotonic: () => now }, endpoints: [AT] });
    told.answered(AT, "read");
  });

  it("nobody is let in: once, until a call of keys is answered", () => {
    told.refused("user", "read", "who?");
    told.refused("user", "write", "who?");
    told.answered(AT, "other");
    expect(lines).toEqual([CEASED]);
    told.answered(AT, "read");
    told.answered(AT, "read");
    expect(lines).toEqual([CEASED, BACK]);
  });

  it("writes are refused: once, however many reads are answered, until a write is", () => {
    told.refused("request", "write", "no space");
    now += 2 * STORE_DEADLINE_MS;
    told.answered(AT, "read");
    told.refused("request", "write", "no space");
    expect(lines).toEqual([CEASED]);
    now += 2 * STORE_DEADLINE_MS;
    told.answered(AT, "write");
    expect(lines).toEqual([CEASED, BACK]);
  });

  it("some keys are refused and others not: once, until none has been for a while", () => {
    for (let time = 0; time < 5; time++) {
      told.refused("request", "read", "not yours");
      now += STORE_DEADLINE_MS / 2;
      told.answered(AT, "read");
    }
    expect(lines).toEqual([CEASED]);
    now += STORE_DEADLINE_MS;
    told.answered(AT, "read");
    expect(lines).toEqual([CEASED, BACK]);
  });

  it("a call that a user of Muster's need not be let make is refused: nothing", () => {
    told.refused("request", "other", "not yours");
    expect(lines).toEqual([]);
  });

  it("etcd could not be opened: nothing, as whoever opens it is told", () => {
    const log = createLog({
      level: "info",
      format: "json",
      destination: { write: (line: string) => void lines.push(line) },
    });
    const fresh = new EtcdServiceLog({ log, clock: systemClock, endpoints: [AT] });
    fresh.failed("no connection");
    fresh.refused("user", "read", "who?");
    expect(lines).toEqual([]);
  });
});
