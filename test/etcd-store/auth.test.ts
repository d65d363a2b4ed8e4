import { expect, it } from "vitest";
import { MAX_TXN_OPERATIONS } from "../../src/base/limits.ts";
import { AuthStore } from "../../src/domain/auth/auth-store.ts";
import { startEtcd } from "../support/etcd-server.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";
import { openStoreAt } from "../support/with-etcd-store.ts";

await describeWithEtcd("users and roles of Musters over an etcd", (binaries) => {
  it.each(["", "muster/"])(
    "below the prefix %j: several change them at once, and a role goes from all",
    async (prefix) => {
      await using etcd = await startEtcd(binaries);
      await using one = await openStoreAt([etcd.clientAddress], { prefix });
      await using other = await openStoreAt([etcd.clientAddress], { prefix });
      const stores = [one, other].map(({ engine }) => new AuthStore(engine));
      const [first = new AuthStore(one.engine)] = stores;
      await first.addRole("r");
      const users = Array.from({ length: 2 * MAX_TXN_OPERATIONS }, (_none, place) => `u${place}`);
      await Promise.all(
        stores.map(async (store, at) => {
          for (const user of users.filter((_user, place) => place % stores.length === at)) {
            await store.addUser(user, { noPassword: true });
            await store.grantRole({ user, role: "r" });
          }
        }),
      );
      expect((await first.list("user")).names).toEqual([...users].sort());
      expect((await first.status()).authRevision).toBe(2 + 2 * users.length);
      await first.deleteRole("r");
      expect((await Promise.all(users.map((user) => first.user(user)))).flatMap(({ roles }) => roles)).toEqual([]);
    },
  );
});
