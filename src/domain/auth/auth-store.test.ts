import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SharedStore } from "../../../test/support/shared-store.ts";
import { AUTH_RECORD_BYTES, AUTH_WRITE_ATTEMPTS } from "../../base/auth-limits.ts";
import { utf8 } from "../../base/bytes.ts";
import { MAX_KEY_BYTES, MAX_TXN_OPERATIONS } from "../../base/limits.ts";
import type { Engine } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import { openKeyspace } from "../keyspace/keyspace.ts";
import type { Permission } from "./auth-model.ts";
import { authRefusalOf } from "./auth-refusals.ts";
import { AuthStore } from "./auth-store.ts";

const READ_A: Permission = { type: "read", key: utf8("a"), end: utf8("") };
const LONGEST_NAME = "n".repeat(MAX_KEY_BYTES - "\0auth/user/".length);

let engine: Engine;
let auth: AuthStore;

beforeEach(() => {
  engine = openMemoryEngine();
  auth = new AuthStore(engine);
});

afterEach(() => engine.close());

const plain = (name: string) => auth.addUser(name, { noPassword: false });
const rolesOf = async (name: string) => (await auth.user(name)).roles;
const refusal = (call: Promise<unknown>) =>
  call.then(
    () => "done",
    (error: unknown) => authRefusalOf(error) ?? Promise.reject(error),
  );

describe("AuthStore", () => {
  it("counts changes from 1, and leaves out what changes nothing and what is refused", async () => {
    const counted = async () => (await auth.status()).authRevision;
    expect(await counted()).toBe(1);
    await plain("a");
    await auth.addRole("r");
    await auth.grantRole({ user: "a", role: "r" });
    await auth.changePassword("a", { isReadable: true });
    expect(await counted()).toBe(5);
    await auth.grantRole({ user: "a", role: "r" });
    expect(await refusal(plain("a"))).toBe("userAlreadyExist");
    expect(await refusal(auth.deleteRole("none"))).toBe("roleNotFound");
    await Promise.all([auth.user("a"), auth.role("r"), auth.list("user")]);
    expect(await counted()).toBe(5);
  });

  it("makes one revision of the store of each change, and tells it", async () => {
    const { revision } = await engine.status();
    expect(await plain("a")).toBe(revision + 1);
    expect(await auth.addRole("r")).toBe(revision + 2);
    expect(await auth.grantRole({ user: "a", role: "r" })).toBe(revision + 3);
    expect(await auth.grantRole({ user: "a", role: "r" })).toBe(revision + 3);
    expect(await auth.deleteRole("r")).toBe(revision + 4);
    expect((await auth.user("a")).revision).toBe(revision + 4);
  });

  it("shows nothing of it to clients of the keyspace, and keeps no password", async () => {
    await plain("a");
    await auth.grantRole({ user: "a", role: "root" });
    const all = { key: Buffer.of(0), end: null };
    expect(await openKeyspace(engine).range(all)).toMatchObject({ count: 0, kvs: [] });
    const { kvs } = await engine.range(all);
    expect(kvs.map(({ key, value }) => `${Buffer.from(key)}=${Buffer.from(value)}`)).toEqual([
      '\0auth/revision={"revision":3}',
      '\0auth/user/a={"noPassword":false,"roles":["root"]}',
    ]);
  });

  it("takes a deleted role from everybody, however many have it", async () => {
    const users = Array.from({ length: 3 * MAX_TXN_OPERATIONS }, (_none, place) => `u${place}`);
    await auth.addRole("r");
    await auth.addRole("s");
    for (const user of users) {
      await plain(user);
      await auth.grantRole({ user, role: "r" });
    }
    await auth.grantRole({ user: "u7", role: "s" });
    const { authRevision } = await auth.status();
    await auth.deleteRole("r");
    expect((await auth.status()).authRevision).toBe(authRevision + 1);
    expect(await rolesOf("u7")).toEqual(["s"]);
    expect((await Promise.all(users.map(rolesOf))).flat()).toEqual(["s"]);
    await auth.addRole("r");
    expect(await rolesOf("u7")).toEqual(["s"]);
  });

  it("would have authentication turned on only by a root who has the root role", async () => {
    expect(await refusal(auth.mustHaveRoot())).toBe("rootUserNotExist");
    await plain("root");
    expect(await refusal(auth.mustHaveRoot())).toBe("rootRoleNotExist");
    await auth.grantRole({ user: "root", role: "root" });
    expect(await refusal(auth.mustHaveRoot())).toBe("done");
  });

  it("takes names as long as keys can be, and finds none that are longer", async () => {
    await plain(LONGEST_NAME);
    expect(await rolesOf(LONGEST_NAME)).toEqual([]);
    await auth.addRole(LONGEST_NAME);
    await expect(plain(`${LONGEST_NAME}n`)).rejects.toMatchObject({
      code: "keyTooLong",
      message: expect.stringContaining(`at most ${LONGEST_NAME.length} fit`),
    });
    await expect(auth.addRole("é".repeat(MAX_KEY_BYTES / 2))).rejects.toMatchObject({ code: "keyTooLong" });
    expect(await refusal(auth.user("n".repeat(2 * MAX_KEY_BYTES)))).toBe("userNotFound");
    expect(await refusal(auth.deleteRole("n".repeat(2 * MAX_KEY_BYTES)))).toBe("roleNotFound");
  });

  it("refuses a role of more permissions than an etcd would take as one value", async () => {
    await auth.addRole("r");
    const key = Buffer.alloc(AUTH_RECORD_BYTES, "k");
    await expect(auth.grantPermission("r", { ...READ_A, key })).rejects.toMatchObject({ code: "tooLarge" });
    expect((await auth.role("r")).permissions).toEqual([]);
  });

  it("gives up with `contention` where others are faster for ever", async () => {
    let reads = 0;
    const overtaken = new AuthStore({
      range: (request) => engine.range(request),
      txn: async (request) => {
        if (request.compares.length === 0) reads++;
        else await plain(`other ${reads}`);
        return engine.txn(request);
      },
    });
    await expect(overtaken.addRole("r")).rejects.toMatchObject({ code: "contention" });
    expect(reads).toBe(AUTH_WRITE_ATTEMPTS + 1);
    expect((await auth.list("role")).names).toEqual([]);
  });
});

describe("several AuthStores on one store, at once", () => {
  it("loses no change, and counts each", async () => {
    await inSeveral(3, async (stores) => {
      const [first] = stores;
      await first.addUser("u", { noPassword: true });
      await Promise.all(
        stores.flatMap((store, at) =>
          ["a", "b", "c", "d"].map(async (name) => {
            const role = `${name}${at}`;
            await store.addRole(role);
            await store.grantRole({ user: "u", role });
            await store.grantPermission(role, READ_A);
          }),
        ),
      );
      const all = ["a", "b", "c", "d"].flatMap((name) => stores.map((_store, at) => `${name}${at}`));
      expect((await first.list("role")).names).toEqual(all);
      expect((await first.user("u")).roles).toEqual(all);
      expect((await first.status()).authRevision).toBe(2 + 3 * all.length);
    });
  });

  it("lets one of those who add the same, and leaves no user with a role that is deleted meanwhile", async () => {
    await inSeveral(5, async (stores) => {
      const [first] = stores;
      const added = await Promise.all(stores.map((store) => refusal(store.addRole("r"))));
      expect(added.sort()).toEqual(["done", "roleAlreadyExist", "roleAlreadyExist"]);
      await first.addUser("u", { noPassword: true });
      for (let round = 0; round < 10; round++) {
        await Promise.all(
          stores.map((store, at) =>
            refusal(at === round % stores.length ? store.deleteRole("r") : store.grantRole({ user: "u", role: "r" })),
          ),
        );
        expect((await first.user("u")).roles).toEqual([]);
        await first.addRole("r");
      }
    });
  });

  it("does not repeat a change whose answer was lost", async () => {
    const store = new SharedStore({ seed: 1, clock: { now: () => 0, monotonic: () => 0 } });
    const remote = store.connect();
    const over = new AuthStore(remote);
    remote.losing.push("applied");
    await expect(over.addRole("r")).rejects.toMatchObject({ code: "outcomeUnknown" });
    expect(await refusal(over.addRole("r"))).toBe("roleAlreadyExist");
    expect((await over.status()).authRevision).toBe(2);
    await store.engine.close();
  });
});

/** Three of them, each with a connection of its own. */
async function inSeveral(
  seed: number,
  test: (stores: readonly [AuthStore, AuthStore, AuthStore]) => Promise<void>,
): Promise<void> {
  const store = new SharedStore({ seed, clock: { now: () => 0, monotonic: () => 0 } });
  const connected = () => new AuthStore(store.connect());
  try {
    await test([connected(), connected(), connected()]);
  } finally {
    await store.engine.close();
  }
}
