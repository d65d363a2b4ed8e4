/** What etcdctl can be told to do in v3, command by command: played on one server after the other. */
import type { V3Step } from "./etcdctl-v3-session.ts";

/** What no session comes to. */
const FUTURE = "1000000";
const lines = (...commands: readonly string[]): readonly V3Step[] =>
  commands.map((command) => ({ run: command.split(" ") }));

/** Each command with its flags, in what it does and in what it refuses. */
export const ETCDCTL_V3_STEPS: readonly V3Step[] = [
  ...lines("put a 1", "put a 2", "put b 3", "put ab 4", "put c 5", "get a", "get a -w json", "get a -w fields"),
  ...lines("put a 6 --prev-kv", "put a 7 --prev-kv -w json", "put a --ignore-value", "put none --ignore-value"),
  { run: ["put", "long"], stdin: "typed\nin lines\n" },
  ...lines("get long", "get none", "get a c", "get a --prefix", "get --prefix a --limit 1", "get --from-key b"),
  { run: ["get", "", "--prefix"] },
  { run: ["get", "", "--from-key", "--keys-only"] },
  ...lines("get a --prefix --order DESCEND --sort-by VALUE", "get a --prefix --sort-by MODIFY --order ASCEND"),
  ...lines("get a --prefix --sort-by CREATE --order DESCEND", "get a --prefix --sort-by VERSION --order DESCEND"),
  ...lines("get a --prefix --keys-only", "get a --prefix --count-only -w fields", "get a --print-value-only"),
  ...lines("get a --hex", "get a --consistency s", "get a --rev {S+1}", "get a --rev {S+2} -w json"),
  ...lines(`get a --rev ${FUTURE}`, "del none", "del ab", "del b --prev-kv", "del c --prev-kv -w json"),
  ...lines("lease grant 700", "lease timetolive {lease 0}", "put --lease {lease 0} held x", "get held -w json"),
  ...lines("lease timetolive {lease 0} --keys", "lease keep-alive --once {lease 0}", "lease list"),
  ...lines("put held y --ignore-lease", "lease revoke {lease 0}", "get held", "lease revoke {lease 0}"),
  ...lines("lease timetolive {lease 0}", "lease keep-alive --once {lease 0}", "put --lease 123 x y", "lease grant 800"),
  { run: ["txn"], stdin: 'value("a") = "7"\n\nput a then\nget a\n\nput a else\n\n' },
  { run: ["txn"], stdin: 'mod("a") > "1"\nversion("none") = "0"\n\nput t1 x\nput t2 y\ndel long\n\nget a\n\n' },
  { run: ["txn", "-w", "json"], stdin: 'create("none") > "0"\n\nput t1 x\n\nget t --prefix\ndel t2\n\n' },
  { run: ["txn"], stdin: "\n\nput twice 1\nput twice 2\n\n\n" },
  // The past of watches, and what follows.
  { run: ["watch", "a", "--rev", "{S+1}"], until: /then/ },
  { run: ["watch", "t", "--prefix", "--rev", "{S+1}", "--prev-kv"], until: /DELETE\nt2\ny\nt2\n/ },
  { run: ["watch", "--rev", "{S+1}", "-w", "json", "a", "c"], until: /"dGhlbg=="/ },
  {
    run: ["watch", "-i"],
    stdin: "watch live\nwatch a --rev=1\n",
    until: /LIVE/,
    begun: /then/,
    meanwhile: [["put", "live", "LIVE"]],
  },
  { run: ["watch", "a", "--rev", "{S+1}", "--", "sh", "-c", "echo $ETCD_WATCH_EVENT_TYPE"], until: /(?:"PUT"\s+){6}/ },
  ...lines("compaction {S+3}", "compaction {S+3}", "compaction {S+4} --physical", `compaction ${FUTURE}`),
  ...lines("get a --rev {S+2}", "get a --rev {S+4}", "watch a --rev {S+1}"),
  { run: ["lock", "mutex", "echo", "held"] },
  { run: ["lock", "mutex", "sh", "-c", "exit 3"] },
  { run: ["lock", "mutex"], until: /mutex\// },
  { run: ["elect", "election", "candidate"], until: /candidate/ },
  ...lines("get mutex --prefix", "get election --prefix", "endpoint health", "endpoint hashkv", "alarm list"),
  ...lines("alarm disarm", "auth status", "user list", "role list", "role get root"),
  ...lines("move-leader 123", "get", "put", "del a --prefix --from-key", "nosuchcommand"),
  { run: ["del", "", "--prefix"] },
  { run: ["get", "", "--prefix"] },
];

/** Users and roles, on a server whose authentication is off and stays so. */
export const ETCDCTL_V3_AUTH_STEPS: readonly V3Step[] = [
  ...lines("auth status", "user list", "role list", "auth enable", "auth disable"),
  ...lines("user add plain --no-password", "user add typed:secret", "user add given --new-user-password secret"),
  ...lines("user add plain --no-password", "user add", "user list", "user get plain", "user get none"),
  { run: ["user", "add", "piped", "--interactive=false"], stdin: "secret\n" },
  { run: ["user", "add", "", "--no-password"] },
  { run: ["user", "add", `long:${"p".repeat(72)}`] },
  { run: ["user", "passwd", "typed", "--interactive=false"], stdin: "other\n" },
  { run: ["user", "passwd", "none", "--interactive=false"], stdin: "other\n" },
  ...lines("role add reader", "role add writer", "role add reader", "role list", "role get reader", "role get none"),
  { run: ["role", "add", ""] },
  ...lines("role grant-permission reader read a", "role grant-permission reader read b c"),
  ...lines("role grant-permission reader read p --prefix", "role grant-permission reader read f --from-key"),
  ...lines("role grant-permission reader readwrite a", "role grant-permission writer write z"),
  ...lines("role grant-permission none read a", "role grant-permission reader nosuchtype a", "role get reader"),
  ...lines("role revoke-permission reader a", "role revoke-permission reader a", "role revoke-permission reader b c"),
  ...lines("role revoke-permission reader p --prefix", "role revoke-permission none a", "role get reader"),
  ...lines("user grant-role plain writer", "user grant-role plain reader", "user grant-role plain reader"),
  ...lines("user grant-role plain none", "user grant-role none reader", "user get plain", "user get plain --detail"),
  ...lines("user revoke-role plain reader", "user revoke-role plain reader", "user revoke-role none reader"),
  ...lines("role delete writer", "role delete writer", "user get plain", "role list"),
  ...lines("role add root", "user grant-role plain root", "auth enable", "user add root --no-password"),
  ...lines("auth enable", "user delete root", "role delete root", "user get plain"),
  ...lines("user delete plain", "user delete plain", "user list", "auth status"),
];
