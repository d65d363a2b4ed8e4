/** Whether the store can write durably, asked of it at most once a second however many ask. */
import type { Clock } from "../base/clock.ts";
import { HEALTH_PROBE_DEADLINE_MS, HEALTH_PROBE_INTERVAL_MS } from "../base/limits.ts";
import type { Engine } from "../engine/engine.ts";

export type Health = (Sound | Unsound) & {
  /** What the operator should know of Muster itself, whether the store is well or not. */
  readonly notice?: string;
};

interface Sound {
  readonly ok: true;
}

interface Unsound {
  readonly ok: false;
  /** What is wrong with the store. */
  readonly reason: string;
}

/** One durable probe shared by every face and listener: a flood of health checks costs one sync a second. */
export class HealthProbe {
  readonly #engine: Pick<Engine, "probe">;
  readonly #clock: Clock;
  readonly #notice: () => string | undefined;
  readonly #lateReason: string;
  #latest: { readonly startedAt: number; readonly health: Promise<Health> } | undefined;
  /** The engine's probe under way: a disk that hangs gets one call stuck, not one more each second. */
  #underWay: Promise<Health> | undefined;

  constructor(options: {
    readonly engine: Pick<Engine, "probe">;
    readonly clock: Clock;
    /** What there is to say of Muster itself. */
    readonly notice?: () => string | undefined;
    /** What a store that does not answer in time wants of its operator; without it, what LMDB's disk does. */
    readonly lateReason?: string;
  }) {
    this.#engine = options.engine;
    this.#clock = options.clock;
    this.#notice = options.notice ?? (() => undefined);
    this.#lateReason = options.lateReason ?? DISK_HANGS;
  }

  /**
   * The store's health, at most HEALTH_PROBE_INTERVAL_MS old or still being found out. Never rejects, and never takes
   * longer than HEALTH_PROBE_DEADLINE_MS: a disk that hangs is not healthy.
   */
  check(): Promise<Health> {
    const now = this.#clock.monotonic();
    if (this.#latest === undefined || now - this.#latest.startedAt >= HEALTH_PROBE_INTERVAL_MS) {
      this.#latest = { startedAt: now, health: withinDeadline(this.#probe(), () => this.#late()) };
    }
    return this.#latest.health;
  }

  #probe(): Promise<Health> {
    this.#underWay ??= this.#ask().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  async #ask(): Promise<Health> {
    try {
      await this.#engine.probe();
    } catch (error) {
      return this.#with({ ok: false, reason: error instanceof Error ? error.message : String(error) });
    }
    return this.#with({ ok: true });
  }

  #late(): Health {
    return this.#with({ ok: false, reason: this.#lateReason });
  }

  #with(state: Sound | Unsound): Health {
    const notice = this.#notice();
    return notice === undefined ? state : { ...state, notice };
  }
}

const DISK_HANGS = `Check the disk of the data directory: a durable write took longer than ${HEALTH_PROBE_DEADLINE_MS} ms`;

function withinDeadline(health: Promise<Health>, late: () => Health): Promise<Health> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(late()), HEALTH_PROBE_DEADLINE_MS);
    timer.unref();
    void health.then((result) => {
      clearTimeout(timer);
      resolve(result);
    });
  });
}
