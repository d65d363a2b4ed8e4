import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { EtcdBinaries } from "./etcd-binaries.ts";
import { freePorts, type RunningProcess, startProcess } from "./processes.ts";

const READY_TIMEOUT_MS = 60_000;
const POLL_MS = 25;
const PORT_ATTEMPTS = 5;

export interface EtcdServer extends AsyncDisposable {
  /** Such as `http://127.0.0.1:41234`. */
  readonly clientUrl: string;
  /** `127.0.0.1:41234`, as gRPC wants it. */
  readonly clientAddress: string;
  readonly process: RunningProcess;
  /** Kills it and removes its data. */
  stop(): Promise<void>;
}

/**
 * Starts a real etcd of one node on free ports, its data in a temporary folder, and waits until it serves.
 * `flags` are added to its command line. Its election time-out is 200 ms,
 * which makes its least lease 1 s.
 */
export async function startEtcd(binaries: EtcdBinaries, flags: readonly string[] = []): Promise<EtcdServer> {
  for (let attempt = 1; ; attempt++) {
    const directory = await mkdtemp(join(tmpdir(), "muster-etcd-"));
    const [clientPort = 0, peerPort = 0] = await freePorts(2);
    const clientUrl = `http://127.0.0.1:${clientPort}`;
    const child = await startProcess(
      binaries.etcd,
      [...singleNode({ directory, clientUrl, peerUrl: `http://127.0.0.1:${peerPort}` }), ...flags],
      { env: etcdEnvironment() },
    );
    const stop = async (): Promise<void> => {
      await child.stop("SIGKILL");
      await rm(directory, { recursive: true, force: true });
    };
    try {
      await waitUntilHealthy(child, clientUrl);
      return {
        clientUrl,
        clientAddress: `127.0.0.1:${clientPort}`,
        process: child,
        stop,
        [Symbol.asyncDispose]: stop,
      };
    } catch (error) {
      await stop();
      // Somebody else took the port between our look and etcd's bind.
      if (attempt === PORT_ATTEMPTS || !child.output().includes("address already in use")) {
        throw error;
      }
    }
  }
}

/** What an etcd needs in its environment to run on machines that its release does not list (3.4 on arm64). */
export function etcdEnvironment(): Readonly<Record<string, string>> {
  return process.arch === "x64" ? {} : { ETCD_UNSUPPORTED_ARCH: process.arch };
}

function singleNode(place: { readonly directory: string; readonly clientUrl: string; readonly peerUrl: string }) {
  return [
    ...["--name", "contract", "--data-dir", place.directory, "--logger", "zap", "--log-level", "warn"],
    ...["--listen-client-urls", place.clientUrl, "--advertise-client-urls", place.clientUrl],
    ...["--listen-peer-urls", place.peerUrl, "--initial-advertise-peer-urls", place.peerUrl],
    ...["--initial-cluster", `contract=${place.peerUrl}`],
    ...["--heartbeat-interval", "20", "--election-timeout", "200"],
  ];
}

/** Asks `/health` until it says 200; rejects when the process ends or after a minute. */
export async function waitUntilHealthy(child: RunningProcess, clientUrl: string): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  let over = false;
  void child.ended.then(() => {
    over = true;
  });
  while (!over && performance.now() < deadline) {
    const answer = await fetch(`${clientUrl}/health`).catch(() => undefined);
    if (answer?.ok === true) {
      return;
    }
    await sleep(POLL_MS);
  }
  throw new Error(`etcd ${over ? "ended" : "was not healthy in time"}; it wrote:\n${child.output()}`);
}
