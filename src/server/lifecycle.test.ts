import { EventEmitter } from "node:events";
import { describe, expect, test, vi } from "vitest";
import { deferred } from "../../test/support/deferred.ts";
import { rawHttp } from "../../test/support/raw-http.ts";
import { faceOf, testConfig, waitingFace } from "../../test/support/test-service.ts";
import { isMusterError, MusterError } from "../base/errors.ts";
import { SIGNAL_ECHO_MS, STOP_DEADLINE_MS } from "../base/limits.ts";
import { createLog, silentLog } from "../base/log.ts";
import type { HttpFace } from "../faces/face.ts";
import { type LifecycleOptions, runService } from "./lifecycle.ts";
import type { Composition, Service } from "./service.ts";

const noServices = { publicServices: [], clientServices: [] };

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/** Stands for `process`: signals are emitted on it, exits are noted. */
class TestProcess extends EventEmitter {
  readonly exit = vi.fn<(code: number) => void>();
}

function run(options: { face?: HttpFace; compose?: () => Promise<Composition>; log?: LifecycleOptions["log"] } = {}) {
  const control = new TestProcess();
  const ready = deferred<Service>();
  const clock = { time: 0, now: () => 0, monotonic: () => clock.time, sinceBoot: () => clock.time };
  const close = vi.fn(() => Promise.resolve());
  const faces = options.face === undefined ? [] : [options.face];
  const onReady = vi.fn(ready.resolve);
  const ended = runService({
    config: testConfig(),
    log: options.log ?? silentLog,
    clock,
    control,
    compose:
      options.compose ?? (() => Promise.resolve({ publicFaces: faces, clientFaces: faces, ...noServices, close })),
    onReady,
  });
  return { control, clock, close, ended, onReady, ready: ready.promise };
}

describe("runService", () => {
  test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)(
    "runService: %s ends it cleanly, the store last",
    async (signal) => {
      const { control, close, ended, ready } = run();
      const { addresses } = await ready;
      expect(close).not.toHaveBeenCalled();
      control.emit(signal);
      await ended;
      expect(close).toHaveBeenCalledTimes(1);
      expect(control.exit).not.toHaveBeenCalled();
      await expect(fetch(addresses.publicUrls[0] ?? "")).rejects.toThrow();
    },
  );

  test("runService: a long poll that waits is ended by a signal", async () => {
    const begun = deferred();
    const { control, ended, ready } = run({ face: waitingFace(begun.resolve) });
    const { addresses } = await ready;
    const answer = rawHttp(addresses.clientUrls[0] ?? "", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").closed;
    await begun.promise;
    const start = performance.now();
    control.emit("SIGTERM");
    await ended;
    expect(performance.now() - start).toBeLessThan(STOP_DEADLINE_MS);
    expect(await answer).toMatch(/^HTTP\/1\.1 503 /);
  });

  test("runService: a second signal ends the process at once, with the code of that signal", async () => {
    const asked = deferred();
    const { control, clock, ended, ready } = run({
      face: faceOf(({ response }) => {
        asked.resolve();
        return new Promise((resolve) => response.once("close", resolve));
      }),
    });
    using stuck = rawHttp((await ready).addresses.publicUrls[0] ?? "", GET);
    await asked.promise;
    control.emit("SIGTERM");
    clock.time += SIGNAL_ECHO_MS + 1;
    control.emit("SIGINT");
    expect(control.exit.mock.calls).toEqual([[130]]);
    control.emit("SIGTERM");
    expect(control.exit.mock.calls).toEqual([[130], [143]]);
    stuck[Symbol.dispose]();
    await ended;
  });

  test("runService: the echo of a signal (npm passes a Ctrl-C on) is not a second one", async () => {
    const { control, clock, ended, ready } = run();
    await ready;
    control.emit("SIGINT");
    clock.time += SIGNAL_ECHO_MS;
    control.emit("SIGINT");
    await ended;
    expect(control.exit).not.toHaveBeenCalled();
  });

  test("runService: a signal while starting ends it as soon as it has started, without inviting anybody", async () => {
    const opening = deferred<Composition>();
    const close = vi.fn(() => Promise.resolve());
    const { control, ended, onReady } = run({ compose: () => opening.promise });
    control.emit("SIGTERM");
    opening.resolve({ publicFaces: [], clientFaces: [], ...noServices, close });
    await ended;
    expect(onReady).not.toHaveBeenCalled();
    expect(close).toHaveBeenCalledTimes(1);
  });

  test("runService: a store that does not close does not hold the process beyond the deadline", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const closing = deferred();
      const close = () => {
        closing.resolve();
        return new Promise<void>(() => undefined);
      };
      const { control, ended, ready } = run({
        compose: async () => ({ publicFaces: [], clientFaces: [], ...noServices, close }),
      });
      const outcome = ended.catch((error: unknown) => error);
      await ready;
      control.emit("SIGTERM");
      await closing.promise;
      await vi.advanceTimersByTimeAsync(STOP_DEADLINE_MS);
      expect(isMusterError(await outcome, "internal")).toBe(true);
    } finally {
      vi.useRealTimers();
    }
  });

  test("runService: what fails while starting is thrown, and the process's handlers are taken away again", async () => {
    const failure = new MusterError("directoryInUse", "Stop the other one");
    const { control, ended } = run({ compose: () => Promise.reject(failure) });
    await expect(ended).rejects.toBe(failure);
    expect(control.eventNames()).toEqual([]);
  });

  test("runService: a listener that cannot open closes the store again", async () => {
    const first = run();
    const address = (await first.ready).addresses.publicUrls[0] ?? "";
    const port = Number(new URL(address).port);
    const close = vi.fn(() => Promise.resolve());
    const second = runService({
      config: testConfig({ clientListen: [{ host: "127.0.0.1", port, text: `127.0.0.1:${port}` }] }),
      log: silentLog,
      clock: first.clock,
      control: new TestProcess(),
      compose: async () => ({ publicFaces: [], clientFaces: [], ...noServices, close }),
      onReady: () => undefined,
    });
    await expect(second).rejects.toThrow(`Stop what uses port ${port}, or choose another with --client-listen`);
    expect(close).toHaveBeenCalledTimes(1);
    first.control.emit("SIGTERM");
    await first.ended;
  });

  test.each(["uncaughtException", "unhandledRejection"])(
    "runService: %s is logged and ends the process",
    async (event) => {
      const lines: string[] = [];
      const log = createLog({
        level: "info",
        format: "json",
        destination: { write: (line: string) => lines.push(line) },
      });
      const { control, ended, ready } = run({ log });
      await ready;
      control.emit(event, new Error("nobody expected this"));
      expect(control.exit.mock.calls).toEqual([[1]]);
      expect(lines.join("")).toMatch(/"level":"fatal".*nobody expected this/);
      control.emit("SIGTERM");
      await ended;
    },
  );
});
