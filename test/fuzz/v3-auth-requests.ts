/** Random requests of etcd's Auth service, as to an etcd whose authentication stays off. */
import fc from "fast-check";
import { oneIn, type Request } from "./v3-requests.ts";
import type { V3Step } from "./v3-steps.ts";

const user = oneIn(20, fc.constantFrom("", "nobody"), fc.constantFrom("a", "a", "a", "b", "root"));
/** The last two sort otherwise as UTF-16 than as bytes. */
const ROLES = ["a", "root", "\u{fffd}", "\u{1f600}"];
const role = oneIn(20, fc.constantFrom("", "nobody"), fc.constantFrom("a", "a", ...ROLES));
const LONG = "p".repeat(72);
const password = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("", "", "secret", LONG) },
  { weight: 1, arbitrary: fc.constantFrom(`${LONG}p`, "é".repeat(37)) },
);
const hashedPassword = fc.constantFrom("", "c2VjcmV0", "c2VjcmU=", "c2Vj\ncmU=", "c2VjcmU", "no base64", "c2VjcmV0=");
const options = fc.record({ no_password: fc.boolean() });

const key = oneIn(20, fc.constant(""), fc.constantFrom("a", "a", "a", "b", "\0", "\xff"));
const rangeEnd = fc.constantFrom("", "", "b", "b", "c", "a", "\0", "\0\0", "\xff\xff");
const perm = fc.record(
  { permType: fc.constantFrom("READ", "WRITE", "READWRITE"), key, range_end: rangeEnd },
  { requiredKeys: ["key"] },
);

const call = (method: string, request: fc.Arbitrary<Request>): fc.Arbitrary<V3Step> =>
  request.map((of) => ({ call: `Auth/${method}`, request: of }));

/** Not what would turn etcd's authentication on: from then on it asks who is calling. */
const grant = fc
  .record({ user, role })
  .map((of): Request => (of.user === "root" && of.role === "root" ? { ...of, role: "a" } : of));

const step: fc.Arbitrary<V3Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: call(
      "UserAdd",
      fc.record({ name: user, password, options, hashedPassword }, { requiredKeys: ["name"] }),
    ),
  },
  { weight: 2, arbitrary: call("UserGet", fc.record({ name: user })) },
  { weight: 1, arbitrary: call("UserList", fc.constant({})) },
  { weight: 2, arbitrary: call("UserDelete", fc.record({ name: user })) },
  {
    weight: 3,
    arbitrary: call(
      "UserChangePassword",
      fc.record({ name: user, password, hashedPassword }, { requiredKeys: ["name"] }),
    ),
  },
  { weight: 8, arbitrary: call("UserGrantRole", grant) },
  { weight: 3, arbitrary: call("UserRevokeRole", fc.record({ name: user, role })) },
  { weight: 6, arbitrary: call("RoleAdd", fc.record({ name: role })) },
  { weight: 2, arbitrary: call("RoleGet", fc.record({ role })) },
  { weight: 1, arbitrary: call("RoleList", fc.constant({})) },
  { weight: 2, arbitrary: call("RoleDelete", fc.record({ role })) },
  { weight: 14, arbitrary: call("RoleGrantPermission", fc.record({ name: role, perm }, { requiredKeys: ["name"] })) },
  {
    weight: 4,
    arbitrary: call("RoleRevokePermission", fc.record({ role, key, range_end: rangeEnd }, { requiredKeys: ["role"] })),
  },
  { weight: 1, arbitrary: call("AuthStatus", fc.constant({})) },
  { weight: 1, arbitrary: call("AuthEnable", fc.constant({})) },
  { weight: 1, arbitrary: call("AuthDisable", fc.constant({})) },
  { weight: 1, arbitrary: call("Authenticate", fc.record({ name: user, password })) },
);

/** A list of steps, in which there are some users and roles from the start. */
export const authProgram: fc.Arbitrary<readonly V3Step[]> = fc
  .array(step, { minLength: 10, maxLength: 60, size: "max" })
  .map((list) => [
    { call: "Auth/UserAdd", request: { name: "a", password: "secret" } },
    ...ROLES.map((name): V3Step => ({ call: "Auth/RoleAdd", request: { name } })),
    ...list,
  ]);
