import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import { type Keyspace, openKeyspace } from "../../domain/keyspace/keyspace.ts";
import type { Engine, Watch } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import { EncodedMessage } from "../../grpc/call.ts";
import { WatchCreateRequest, type WatchRequest, WatchResponse } from "../../proto/etcdserverpb.ts";
import { Headers } from "./header.ts";
import { WatchSession, type WatchSessionOptions } from "./watch-session.ts";

const headers = new Headers({ clusterId: 1n, memberId: 2n });

let engine: Engine;
let keyspace: Keyspace;

beforeEach(() => {
  engine = openMemoryEngine();
  keyspace = openKeyspace(engine);
});

afterEach(() => engine.close());

function create(key: string, more: Partial<WatchCreateRequest> = {}): WatchRequest {
  const value = WatchCreateRequest.fromPartial({ key: utf8(key), ...more });
  return { requestUnion: { $case: "createRequest", value } };
}

const PROGRESS: WatchRequest = { requestUnion: { $case: "progressRequest", value: {} } };

function put(key: string, value = "v") {
  const request = { key: utf8(key), value: utf8(value) };
  return engine.txn({ compares: [], success: [{ kind: "put", request }], failure: [] });
}

/** A session whose client reads, or does not; `come` are the responses that were sent. */
function open(options: Partial<WatchSessionOptions> = {}) {
  const come: WatchResponse[] = [];
  let release: (() => void) | undefined;
  let isBlocked = false;
  const send = async (response: WatchResponse | EncodedMessage) => {
    come.push(response instanceof EncodedMessage ? WatchResponse.decode(Buffer.concat(response.pieces)) : response);
    if (isBlocked) {
      await new Promise<void>((resolve) => {
        release = resolve;
      });
    }
  };
  const session = new WatchSession({ keyspace, headers, send, ...options });
  return {
    session,
    come,
    block: () => {
      isBlocked = true;
    },
    unblock: () => {
      isBlocked = false;
      release?.();
    },
    [Symbol.dispose]: () => session.close(),
  };
}

const events = (come: readonly WatchResponse[]) =>
  come.flatMap((response) => response.events.map(({ kv }) => `${response.watchId}:${kv?.modRevision}`));

describe("WatchSession", () => {
  it("says that a watch is created before it tells of what happened since its start", async () => {
    await put("a");
    using client = open();
    await client.session.take(create("a", { startRevision: 1 }));
    await expect.poll(() => client.come.length).toBe(2);
    expect(client.come.map(({ created, events: told }) => [created, told.length])).toEqual([
      [true, 0],
      [false, 1],
    ]);
  });

  it("tells idle watches of progress at each interval, but only those that asked and told nothing in it", async () => {
    using client = open({ progressIntervalMs: 20 });
    await client.session.take(create("a", { progressNotify: true }));
    await client.session.take(create("b"));
    await client.session.take(create("c", { progressNotify: true, startRevision: 100 }));
    await put("other");
    await expect.poll(() => client.come.length).toBeGreaterThan(5);
    const notices = client.come.slice(3);
    expect(new Set(notices.map(({ watchId }) => watchId))).toEqual(new Set([0n]));
    expect(notices.at(-1)).toMatchObject({ header: { revision: 2 }, events: [], created: false, canceled: false });
  });

  it("splits a response only of a watch that asked for fragments, and says which is the last", async () => {
    const operations = ["a1", "a2", "a3", "a4", "a5"].map(
      (key) => ({ kind: "put", request: { key: utf8(key), value: utf8("x".repeat(300)) } }) as const,
    );
    using client = open({ maxFragmentBytes: 1_000 });
    await client.session.take(create("a", { rangeEnd: utf8("b"), fragment: true }));
    await client.session.take(create("a", { rangeEnd: utf8("b") }));
    await engine.txn({ compares: [], success: operations, failure: [] });
    await expect.poll(() => client.come.length).toBe(6);
    const told = (id: bigint) =>
      client.come
        .slice(2)
        .flatMap(({ watchId, fragment, events: { length } }) => (watchId === id ? [[fragment, length]] : []));
    expect(told(0n)).toEqual([
      [true, 2],
      [true, 2],
      [false, 1],
    ]);
    expect(told(1n)).toEqual([[false, 5]]);
    for (const { header } of client.come) expect(header?.revision).toBeLessThanOrEqual(2);
  });

  it("answers one progress request for all watches when the last has caught up", async () => {
    using client = open();
    await client.session.take(PROGRESS);
    expect(client.come).toEqual([]);
    await client.session.take(create("a"));
    await client.session.take(create("b", { startRevision: 1 }));
    client.block();
    await put("b");
    await put("b");
    await client.session.take(PROGRESS);
    await client.session.take(PROGRESS);
    expect(client.come.filter(({ watchId }) => watchId === -1n)).toEqual([]);
    client.unblock();
    await expect.poll(() => client.come.filter(({ watchId }) => watchId === -1n).length).toBe(2);
    const [first, second] = client.come.flatMap((response, place) => (response.watchId === -1n ? [place] : []));
    expect(client.come[first ?? 0]?.header?.revision).toBe(3);
    expect(events(client.come.slice(0, first))).toEqual(["1:2", "1:3"]);
    expect(second).toBeGreaterThan(first ?? 0);
  });

  it("is not kept from answering a progress request by a watch that is canceled meanwhile", async () => {
    using client = open();
    await client.session.take(create("a", { watchId: 7n }));
    await client.session.take(create("b", { watchId: 8n }));
    await client.session.take(PROGRESS);
    await client.session.take({ requestUnion: { $case: "cancelRequest", value: { watchId: 7n } } });
    await expect.poll(() => client.come.some(({ watchId }) => watchId === -1n)).toBe(true);
  });

  it("keeps the ID of a watch that was canceled as compacted until its client cancels it, too", async () => {
    for (let count = 0; count < 3; count++) await put("a");
    await engine.compact(3);
    using client = open();
    await client.session.take(create("a", { startRevision: 1, watchId: 3n }));
    await expect.poll(() => client.come.at(-1)).toMatchObject({ watchId: 3n, canceled: true, compactRevision: 3 });
    const cancel = { requestUnion: { $case: "cancelRequest", value: { watchId: 3n } } } as const;
    await client.session.take(create("a", { watchId: 3n }));
    await client.session.take(cancel);
    await client.session.take(cancel);
    await client.session.take(create("a", { watchId: 3n }));
    expect(client.come.slice(2).map(({ watchId, created, canceled }) => [watchId, created, canceled])).toEqual([
      [-1n, true, true],
      [3n, false, true],
      [3n, true, false],
    ]);
  });

  it("a client that does not read has each watch take one message at most, and misses nothing", async () => {
    let taken = 0;
    const counting = {
      status: () => keyspace.status(),
      watch: (request: Parameters<Keyspace["watch"]>[0]) => counted(keyspace.watch(request), () => taken++),
    };
    using client = open({ keyspace: counting });
    for (const key of ["a", "b", "c"]) await client.session.take(create(key));
    client.block();
    for (let round = 0; round < 50; round++) {
      for (const key of ["a", "b", "c"]) await put(key);
    }
    expect(taken).toBe(3);
    client.unblock();
    await expect.poll(() => events(client.come).length).toBe(150);
    for (const [id, first] of [
      ["0", 2],
      ["1", 3],
      ["2", 4],
    ] as const) {
      const revisions = Array.from({ length: 50 }, (_, at) => `${id}:${first + 3 * at}`);
      expect(events(client.come).filter((event) => event.startsWith(`${id}:`))).toEqual(revisions);
    }
  });

  it("holds thousands of watches, tells each of its own, and frees all of them when it is closed", async () => {
    const open_ = new Set<Watch>();
    const watching = (request: Parameters<Keyspace["watch"]>[0]) => {
      const watch = keyspace.watch(request);
      open_.add(watch);
      const close = watch.close.bind(watch);
      watch.close = () => {
        open_.delete(watch);
        close();
      };
      return watch;
    };
    using client = open({ keyspace: { status: () => keyspace.status(), watch: watching } });
    for (let key = 0; key < 3_000; key++) await client.session.take(create(`k${key}`));
    expect(open_.size).toBe(3_000);
    await put("k17");
    await put("k2999");
    await expect.poll(() => events(client.come)).toEqual(["17:2", "2999:3"]);
    client.session.close();
    expect(open_.size).toBe(0);
  });

  it("closes a watch that is being made when it is closed, and makes none from then on", async () => {
    let made = 0;
    let closed = 0;
    const making = {
      status: () => keyspace.status(),
      watch: (): Watch => {
        made++;
        let refuse: (error: MusterError) => void = () => {};
        const createdRevision = new Promise<number>((_resolve, reject) => {
          refuse = reject;
        });
        const close = () => {
          closed++;
          refuse(new MusterError("closed", "Watch again: this watch was closed"));
        };
        return { ...NO_WATCH, createdRevision, close };
      },
    };
    using client = open({ keyspace: making });
    const taken = client.session.take(create("a"));
    client.session.close();
    expect(closed).toBe(1);
    await expect(taken).rejects.toMatchObject({ code: "closed" });
    await client.session.take(create("a"));
    expect(made).toBe(1);
    expect(client.come).toEqual([]);
  });

  it("goes on with its other watches when one is canceled or refused while the store cannot tell its revision", async () => {
    let isAway = false;
    const away = new MusterError("storeUnavailable", "Look after etcd: it has no quorum");
    const status = () => (isAway ? Promise.reject(away) : keyspace.status());
    using client = open({ keyspace: { status, watch: (request) => keyspace.watch(request) } });
    await client.session.take(create("a"));
    await client.session.take(create("b"));
    await put("b");
    await expect.poll(() => events(client.come)).toEqual(["1:2"]);
    isAway = true;
    await client.session.take({ requestUnion: { $case: "cancelRequest", value: { watchId: 0n } } });
    await client.session.take(create("b", { rangeEnd: utf8("a") }));
    await put("b");
    await expect.poll(() => events(client.come)).toEqual(["1:2", "1:3"]);
    expect(client.come.slice(3)).toMatchObject([
      { watchId: 0n, created: false, canceled: true, header: { revision: 2 } },
      { watchId: -1n, created: true, canceled: true, header: { revision: 2 } },
      { watchId: 1n, header: { revision: 3 } },
    ]);
  });

  it("refuses no watch of a stream on which no revision was told, while the store cannot tell any", async () => {
    const away = new MusterError("storeUnavailable", "Look after etcd: it has no quorum");
    const watch = (request: Parameters<Keyspace["watch"]>[0]) => keyspace.watch(request);
    using client = open({ keyspace: { status: () => Promise.reject(away), watch } });
    await expect(client.session.take(create("b", { rangeEnd: utf8("a") }))).rejects.toBe(away);
    expect(client.come).toEqual([]);
  });

  it("fails when the store is closed, so that clients go elsewhere or try again", async () => {
    using client = open();
    await client.session.take(create("a"));
    await engine.close();
    await expect(client.session.failed).rejects.toMatchObject({ code: 14, message: "etcdserver: server stopped" });
  });

  it("fails with what the store fails with while it tells", async () => {
    const failing = (request: Parameters<Keyspace["watch"]>[0]): Watch =>
      Object.assign(keyspace.watch(request), {
        [Symbol.asyncIterator]: () => ({
          next: () => Promise.reject(new MusterError("storeUnavailable", "Look after the disk: it is gone")),
        }),
      });
    using client = open({ keyspace: { status: () => keyspace.status(), watch: failing } });
    await client.session.take(create("a"));
    await expect(client.session.failed).rejects.toMatchObject({ code: "storeUnavailable" });
  });

  it("sees no internal key", async () => {
    using client = open();
    await client.session.take(create("", { rangeEnd: Uint8Array.of(0) }));
    await put("\0hidden");
    await put("seen");
    await expect.poll(() => events(client.come)).toEqual(["0:3"]);
  });
});

/** A watch that has nothing to tell. */
const NO_WATCH: Omit<Watch, "createdRevision" | "close"> = {
  requestProgress: () => {},
  async *[Symbol.asyncIterator]() {},
};

/** A watch that counts the messages that are taken of it. */
function counted(watch: Watch, onTaken: () => void): Watch {
  return {
    createdRevision: watch.createdRevision,
    requestProgress: () => watch.requestProgress(),
    close: () => watch.close(),
    async *[Symbol.asyncIterator]() {
      for await (const message of watch) {
        onTaken();
        yield message;
      }
    },
  };
}
