import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { HEALTH_PROBE_DEADLINE_MS, HEALTH_PROBE_INTERVAL_MS } from "../base/limits.ts";
import { HealthProbe } from "./health-probe.ts";

describe("HealthProbe", () => {
  let now = 0;
  const clock = { now: () => now, monotonic: () => now };
  const engine = { probe: vi.fn<() => Promise<void>>() };

  beforeEach(() => {
    vi.useFakeTimers();
    now = 5_000;
    engine.probe.mockReset().mockResolvedValue();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("HealthProbe: all who ask within a second share one probe", async () => {
    const probe = new HealthProbe({ engine, clock });
    const first = [probe.check(), probe.check()];
    now += HEALTH_PROBE_INTERVAL_MS - 1;
    expect(await Promise.all([...first, probe.check()])).toEqual([{ ok: true }, { ok: true }, { ok: true }]);
    expect(engine.probe).toHaveBeenCalledTimes(1);
    now += 1;
    await probe.check();
    expect(engine.probe).toHaveBeenCalledTimes(2);
  });

  test("HealthProbe: a probe that fails gives its reason, and health comes back with the next good one", async () => {
    const probe = new HealthProbe({ engine, clock });
    engine.probe.mockRejectedValueOnce(new Error("Free some space: the disk is full"));
    expect(await probe.check()).toEqual({ ok: false, reason: "Free some space: the disk is full" });
    now += HEALTH_PROBE_INTERVAL_MS;
    expect(await probe.check()).toEqual({ ok: true });
  });

  test("HealthProbe: a disk that hangs is not healthy after the deadline, and is not asked again until it answers", async () => {
    const probe = new HealthProbe({ engine, clock });
    let finish: () => void = () => undefined;
    engine.probe.mockReturnValueOnce(
      new Promise((resolve) => {
        finish = resolve;
      }),
    );
    const first = probe.check();
    await vi.advanceTimersByTimeAsync(HEALTH_PROBE_DEADLINE_MS);
    expect(await first).toEqual({ ok: false, reason: expect.stringContaining("took longer than") });
    now += HEALTH_PROBE_DEADLINE_MS;
    const second = probe.check();
    expect(engine.probe).toHaveBeenCalledTimes(1);
    finish();
    expect(await second).toEqual({ ok: true });
  });
});
