/** A snapshot as etcd streams it: its bytes, then their SHA-256, by which `etcdctl snapshot save` knows that it has all. */
import { createHash } from "node:crypto";
import { MAX_SNAPSHOTS } from "../../base/limits.ts";
import type { Engine, Snapshot } from "../../engine/engine.ts";
import { GrpcError } from "../../grpc/grpc-error.ts";
import { Status } from "../../grpc/status.ts";
import type { SnapshotResponse } from "../../proto/etcdserverpb.ts";
import { etcdError } from "./errors.ts";

/** The version names the format of etcd's files, and this is none. */
const NO_VERSION = "";

export class SnapshotStreams {
  readonly #engine: Pick<Engine, "snapshot">;
  #underWay = 0;

  constructor(engine: Pick<Engine, "snapshot">) {
    this.#engine = engine;
  }

  /**
   * Takes a snapshot and sends all of it. Each takes as much disk as what lives in the store, until it is sent, so there
   * are few at a time. Errors: `etcdserver: too many requests`; `storeUnavailable`; those of sending.
   */
  async stream(send: (response: SnapshotResponse) => Promise<void>): Promise<void> {
    if (this.#underWay >= MAX_SNAPSHOTS) throw etcdError("tooManyRequests");
    this.#underWay++;
    try {
      const snapshot = await this.#engine.snapshot?.();
      if (snapshot === undefined) throw unsupported();
      await sendAll(snapshot, send);
    } finally {
      this.#underWay--;
    }
  }
}

async function sendAll(snapshot: Snapshot, send: (response: SnapshotResponse) => Promise<void>): Promise<void> {
  try {
    const hash = createHash("sha256");
    let remainingBytes = snapshot.size;
    for await (const blob of snapshot.read()) {
      hash.update(blob);
      remainingBytes -= blob.length;
      await send({ header: undefined, remainingBytes, blob, version: NO_VERSION });
    }
    await send({ header: undefined, remainingBytes: 0, blob: hash.digest(), version: NO_VERSION });
  } finally {
    await snapshot.close();
  }
}

function unsupported(): GrpcError {
  const message = "Take the snapshot from the store behind this Muster: it keeps none of its own";
  return new GrpcError(Status.UNIMPLEMENTED, message);
}
