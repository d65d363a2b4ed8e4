/** Random v2 requests and watches. */
import fc from "fast-check";
import { ALL_FIELDS, encodedForm, ordinaryPath, path, value } from "./form-fields.ts";
import type { RequestStep, Step } from "./steps.ts";

const FORM = "application/x-www-form-urlencoded";
const METHODS = ["PUT", "POST", "GET", "HEAD", "DELETE"];

interface Write {
  readonly method: string;
  readonly path: string;
  readonly inQuery: boolean;
  readonly form: string;
  readonly extra: string;
}

/** With its fields in the query or the body, and other ones in the other. */
function written({ method, path: at, inQuery, form, extra }: Write): RequestStep {
  const query = inQuery ? form : extra;
  const body = inQuery ? extra : form;
  return {
    method,
    path: query === "" ? at : `${at}?${query}`,
    ...(body === "" ? {} : { headers: { "content-type": FORM }, body }),
  };
}

function write(method: string, parts: { names: readonly string[]; most: number; extra: readonly string[] }) {
  return fc
    .record({
      method: fc.constant(method),
      path,
      inQuery: fc.boolean(),
      form: encodedForm(parts.names, parts.most),
      extra: fc.oneof({ weight: 8, arbitrary: fc.constant("") }, { weight: 1, arbitrary: encodedForm(parts.extra, 2) }),
    })
    .map(written);
}

const CONDITIONS = ["prevValue", "prevExist", "prevIndex"];
const plainSet = fc
  .tuple(path, value)
  .map(([at, text]) => written({ method: "PUT", path: at, inQuery: false, form: `value=${text}`, extra: "" }));
const makeDirectory = path.map((at): RequestStep => ({ method: "PUT", path: `${at}?dir=true` }));
const put = write("PUT", { names: ["value", "dir", "ttl", "refresh", ...CONDITIONS], most: 4, extra: ALL_FIELDS });
const anyPut = write("PUT", { names: ALL_FIELDS, most: 6, extra: ALL_FIELDS });
const post = write("POST", { names: ["value", "dir", "ttl", "prevExist"], most: 3, extra: ALL_FIELDS });
const remove = write("DELETE", { names: ["dir", "recursive", "prevValue", "prevIndex"], most: 2, extra: ALL_FIELDS });
const get = fc
  .tuple(path, encodedForm(["recursive", "sorted", "quorum", "waitIndex", "stream"], 3))
  .map(([at, query]): RequestStep => ({ method: "GET", path: query === "" ? at : `${at}?${query}` }));
const head = get.map((step): RequestStep => ({ ...step, method: "HEAD" }));

const ODD_TYPES = [
  ...[
    "text/plain",
    "application/json",
    `${FORM}; charset=utf-8`,
    `${FORM};`,
    FORM.toUpperCase(),
    `${FORM}; x=`,
    " ",
    "x",
  ],
  ...["multipart/form-data; boundary=xx", "multipart/form-data", `${FORM}, text/plain`, `;${FORM}`, `${FORM}; charset`],
];
const RAW_BODIES = [
  "value=x",
  '--xx\r\nContent-Disposition: form-data; name="value"\r\n\r\n2\r\n--xx--\r\n',
  "{}",
  "value=%zz",
];
const oddBody = fc
  .record({
    method: fc.constantFrom(...METHODS),
    path,
    type: fc.option(fc.constantFrom(...ODD_TYPES)),
    body: fc.constantFrom(...RAW_BODIES),
  })
  .map(
    ({ type, ...step }): RequestStep => ({ ...step, ...(type === null ? {} : { headers: { "content-type": type } }) }),
  );
const rawBytes = fc.tuple(path, fc.uint8Array({ minLength: 1, maxLength: 12 })).map(([at, bytes]): RequestStep => {
  const bodyBase64 = Buffer.concat([Buffer.from("value="), bytes]).toString("base64");
  return { method: "PUT", path: at, headers: { "content-type": FORM }, bodyBase64 };
});
const oddMethod = fc
  .tuple(fc.constantFrom("PATCH", "OPTIONS", "TRACE", "PROPFIND", "LOCK"), path)
  .map(([method, at]): RequestStep => ({ method, path: at }));

const watch = fc
  .tuple(path, encodedForm(["recursive", "stream", "waitIndex", "sorted", "quorum", "dir"], 3))
  .map(([at, query]): Step => ({ watch: `${at}?wait=true${query === "" ? "" : `&${query}`}` }));

const oddStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: plainSet },
  { weight: 5, arbitrary: makeDirectory },
  { weight: 18, arbitrary: put },
  { weight: 3, arbitrary: anyPut },
  { weight: 6, arbitrary: post },
  { weight: 12, arbitrary: remove },
  { weight: 10, arbitrary: get },
  { weight: 2, arbitrary: head },
  { weight: 2, arbitrary: oddBody },
  { weight: 1, arbitrary: rawBytes },
  { weight: 1, arbitrary: oddMethod },
  { weight: 9, arbitrary: watch },
);

const NEAR = Array.from({ length: 10 }, (_, i) => `{{start+${i}}}`);

/** What clients send: requests that succeed, or fail for what others did. */
const ORDINARY: readonly (readonly [weight: number, methods: string, forms: readonly string[]])[] = [
  [8, "PUT", ["value=x", "value=y", "value=x", "value=", "value=y&ttl=9000"]],
  [4, "PUT", ["dir=true", "dir=true&prevExist=false", "dir=true&ttl=9000"]],
  [3, "PUT", ["value=x&prevExist=false", "value=y&prevExist=false&ttl=9000"]],
  [
    4,
    "PUT",
    ["value=x&prevExist=true", "value=y&prevExist=true&ttl=9000", "dir=true&prevExist=true", "ttl=&prevExist=true"],
  ],
  [6, "PUT", ["value=y&prevValue=x", "value=x&prevValue=y", "value=x&prevValue=y&ttl=9000"]],
  [4, "PUT", NEAR.map((near) => `value=x&prevIndex=${near}`)],
  [1, "PUT", NEAR.map((near) => `value=y&prevValue=x&prevIndex=${near}`)],
  [3, "PUT", ["refresh=true&ttl=9000&prevExist=true", "refresh=true&ttl=9000", "refresh=true&ttl=9000&prevValue=x"]],
  [3, "DELETE", ["", "", "dir=true"]],
  [3, "DELETE", ["recursive=true", "dir=true&recursive=true"]],
  [3, "DELETE", ["prevValue=x", "prevValue=y", "prevValue=x&recursive=true"]],
  [2, "DELETE", NEAR.map((near) => `prevIndex=${near}`)],
  [4, "POST", ["value=x", "value=y&ttl=9000", "dir=true", ""]],
];

const ordinaryWrite = fc.oneof(
  ...ORDINARY.map(([weight, method, forms]) => ({
    weight,
    arbitrary: fc
      .tuple(ordinaryPath, fc.constantFrom(...forms), fc.boolean())
      .map(([at, form, inQuery]) =>
        written({ method, path: at, inQuery: inQuery || method === "DELETE", form, extra: "" }),
      ),
  })),
);
const looks = ["", "?recursive=true", "?sorted=true", "?recursive=true&sorted=true", "?quorum=true&recursive=true"];
const ordinaryLook = fc
  .tuple(fc.constantFrom("GET", "GET", "GET", "HEAD"), ordinaryPath, fc.constantFrom(...looks))
  .map(([method, at, query]): Step => ({ method, path: at + query }));
const waitIndices = ["", "", "", ...NEAR, "{{start-2}}"].map((near) => (near === "" ? "" : `&waitIndex=${near}`));
const ordinaryWatch = fc
  .tuple(
    ordinaryPath,
    fc.constantFrom("", "&recursive=true"),
    fc.constantFrom("", "&stream=true"),
    fc.constantFrom(...waitIndices),
  )
  .map(([at, recursive, stream, since]): Step => ({ watch: `${at}?wait=true${recursive}${stream}${since}` }));

/** A step of any kind. */
export const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: ordinaryWrite },
  { weight: 2, arbitrary: ordinaryLook },
  { weight: 4, arbitrary: ordinaryWatch },
  { weight: 3, arbitrary: oddStep },
);

const EXPIRING_FORMS = [
  ...["dir=true", "value=x", "value=y&prevExist=true", "prevExist=true&refresh=true", "dir=true&prevExist=true"],
  ...["value=z&prevExist=false", "value=z&prevValue=x", "ttl=1&value=x", "refresh=true"],
];

/** A write of a node that expires so soon. */
export function expiring(ttlSeconds: number): fc.Arbitrary<Step> {
  return fc
    .tuple(
      fc.oneof(ordinaryPath, ordinaryPath, path),
      fc.constantFrom("PUT", "PUT", "PUT", "POST"),
      fc.constantFrom(...EXPIRING_FORMS),
    )
    .map(([at, method, form]) =>
      written({ method, path: at, inQuery: false, form: `${form}&ttl=${ttlSeconds}`, extra: "" }),
    );
}
