import { afterEach, beforeEach, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { AuthStore } from "../../src/domain/auth/auth-store.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { MovingPlace } from "../support/moving.ts";

let place: MovingPlace;

beforeEach(async () => {
  place = await MovingPlace.make();
});

afterEach(() => place[Symbol.asyncDispose]());

it.each([
  ["to a data directory", (engine: Engine) => place.toLmdb(engine)],
  ["to revisions of its own", (engine: Engine) => place.toOwnRevisions(engine, 5)],
])("users and roles in a store that was moved %s are there, and can be changed", async (_way, move) => {
  const source = place.memory();
  const before = new AuthStore(source);
  await before.addUser("u", { noPassword: true });
  await before.addRole("r");
  await before.grantRole({ user: "u", role: "r" });
  const permission = { type: "write", key: utf8("a"), end: utf8("b") } as const;
  await before.grantPermission("r", permission);
  const after = new AuthStore(await move(source));
  expect(await after.user("u")).toMatchObject({ noPassword: true, roles: ["r"] });
  expect((await after.role("r")).permissions).toEqual([permission]);
  expect((await after.status()).authRevision).toBe(5);
  await after.deleteRole("r");
  expect(await after.user("u")).toMatchObject({ roles: [] });
  expect((await after.status()).authRevision).toBe(6);
});
