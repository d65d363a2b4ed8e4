/** Random paths and fields of v2 requests: few ordinary ones, so that they meet, and many odd ones, but rarely. */
import fc from "fast-check";

/** Takes one of `values`, or of `odd` once in so many times. */
function mostly<T>(values: readonly T[], odd: readonly T[], times: number): fc.Arbitrary<T> {
  return fc.oneof(
    { weight: times - 1, arbitrary: fc.constantFrom(...values) },
    { weight: 1, arbitrary: fc.constantFrom(...odd) },
  );
}

const ODD_NAMES = [
  ...["", ".", "..", "%2E%2E", "%2e", "a%2Fb", "%2F", "a%2F%2Fb", "sp%20ace", "pl+us", "%2B", "%C3%A9", "%c3%a9"],
  ...["%FF", "%E2%82%AC", "%F0%9F%98%80", "%00", "%01", "%7F", "%", "%zz", "%a", "a%25b", "a;b", "a%3Bb"],
  ...["a%3Fb", "a%23b", "a&b", "a=b", "a:b", "~t", "'", '"', "<b>", "\\", "|", "^", "`", "{x}", "a%0Ab", "%E2%80%A8"],
  ...["A", "_", "_a", "a_", "{{seq+1}}", "{{seq+2}}", "{{seq+3}}", "{{seq+5}}", "00000000000000000000", "-", "a.b"],
  ...["%ED%A0%80", "%5Bx%5D", "[x]", "a%22b", "*", "$", ",", "@", "!", "(", ")", "%2A", "%7E", "a%5Cb", "..a", "a.."],
];
const name = mostly(["a", "a", "b", "c", "_h"], ODD_NAMES, 8);

/** Few, so that nodes, their parents and what is watched meet. */
export const ordinaryPath = fc
  .constantFrom("/a", "/a", "/b", "/b/a", "/b/a", "/b/c", "/b/c/a", "/c", "/_h", "/_h/a", "/b/_h", "")
  .map((below) => `/v2/keys{{dir}}${below}`);

const nested = fc
  .tuple(fc.array(name, { minLength: 0, maxLength: 3 }), mostly([""], ["/", "//"], 20))
  .map(([names, end]) => `/v2/keys{{dir}}${names.map((each) => `/${each}`).join("")}${end}`);
const outside = fc.constantFrom(
  ...[
    "/v2/keys",
    "/v2/keys/",
    "/v2/keys//",
    "/v2/keys/.",
    "/v2/keys{{dir}}",
    "//v2/keys{{dir}}/a",
    "/v2//keys{{dir}}/a",
  ],
  ...["/v2/keysx", "/v2", "/v2/", "/v2%2Fkeys{{dir}}/a", "/v2/%6Beys{{dir}}/a", "/V2/keys{{dir}}/a", "/v2/keys%2F"],
  ...["/v2/keys{{dir}}/..", "/v2/./keys{{dir}}/b", "/v2/keys{{dir}}/a/../b", "/x/../v2/keys{{dir}}/a"],
);
export const path = fc.oneof({ weight: 30, arbitrary: nested }, { weight: 1, arbitrary: outside });

const TRUE = ["true", "true", "true", "false", "1", "0", "t", "f", "T", "F", "TRUE", "False"];
const NO_FLAGS = ["", "yes", "tRUE", "2", "on", "%74rue", "true+", "+true", "%20", "null", "true,false"];
const flag = mostly(TRUE, NO_FLAGS, 12);
const ODD_NUMBERS = [
  ...["", "abc", "-1", "+1", "%2B1", "1.0", "1e3", "0x10", "1_000", "%201", "00", "18446744073709551615", "%D9%A1"],
  ...["18446744073709551616", "9223372036854775807", "9223372036854775808", "9007199254740993", "99999999999999999999"],
];
const NEAR = ["0", "1", ...Array.from({ length: 12 }, (_, i) => `{{start+${i}}}`)];
const index = mostly(NEAR, ODD_NUMBERS, 8);
/** From before the program to after what it writes. */
const waitIndex = mostly(
  ["0", ...["{{start-3}}", "{{start-1}}"], ...Array.from({ length: 10 }, (_, i) => `{{start+${i}}}`), "{{start+100}}"],
  ODD_NUMBERS,
  12,
);
export const value = mostly(
  ["x", "x", "y", "", "1"],
  [
    ...[
      "%C3%A9",
      "%FF",
      "%ff%fe",
      "a+b",
      "a%20b",
      "%00",
      "%01%1F%7F",
      "<>%26",
      "%3Cb%3E",
      "%E2%80%A8",
      "%22%5C",
      "a;b",
    ],
    ...["%", "%zz", "%4", "a=b", "=", "%F0%9F%98%80", "%ED%A0%80", "%EF%BB%BF", "%0A%0D%09", "{{long}}", "/"],
  ],
  5,
);
const prevValue = mostly(["x", "y", "x"], ["", "1", "%FF", "%C3%A9", "a+b", "%", "z"], 6);
/** Long enough to outlast the program, or refused. */
const ttl = mostly(["9000", "100000"], ["", "-1", "abc", "1.5", "+5", "009000", "1e2", "18446744073709551616"], 6);

const FIELDS: Readonly<Record<string, fc.Arbitrary<string>>> = {
  ...{ value, prevValue, prevExist: flag, prevIndex: index, ttl, dir: flag, recursive: flag, sorted: flag },
  ...{ quorum: flag, refresh: flag, stream: flag, waitIndex, foo: fc.constant("bar") },
};

/** A field, such as `dir=true`; now and then without `=`, or with its name spelled in another way. */
function field(named: string): fc.Arbitrary<string> {
  const written = FIELDS[named] ?? fc.constant("");
  const asUsual = written.map((text) => `${named}=${text}`);
  const oddly = fc.constantFrom(named, `%${named.charCodeAt(0).toString(16)}${named.slice(1)}=true`, `${named}=a=b`);
  const inUpperCase = fc.constant(`${named.toUpperCase()}=true`);
  return fc.oneof(
    { weight: 60, arbitrary: asUsual },
    { weight: 1, arbitrary: oddly },
    { weight: 1, arbitrary: inUpperCase },
  );
}

function fields(names: readonly string[], most: number): fc.Arbitrary<readonly string[]> {
  return fc.subarray([...names], { minLength: 0, maxLength: most }).chain((chosen) => fc.tuple(...chosen.map(field)));
}

const ODD_PARTS = [
  "",
  "&",
  ";",
  "=",
  "=x",
  "a;b=c",
  "%",
  "%zz=1",
  "wait=false",
  "wait=true",
  "wait=x",
  "value=z&value=w",
  "noValueOnSuccess=true",
  "dir",
];
const oddPart = fc.option(fc.constantFrom(...ODD_PARTS), { freq: 14, nil: undefined }).map((part) => part ?? []);

function joined(parts: readonly string[], odd: string | readonly string[]): string {
  return [...parts, ...(typeof odd === "string" ? [odd] : [])].join("&");
}

/** Some of these fields, and rarely something odd. */
export function encodedForm(names: readonly string[], most: number): fc.Arbitrary<string> {
  return fc.tuple(fields(names, most), oddPart).map(([parts, odd]) => joined(parts, odd));
}

export const ALL_FIELDS = Object.keys(FIELDS);
