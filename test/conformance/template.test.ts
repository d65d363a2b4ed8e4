import { expect, test } from "vitest";
import type { CaseScope } from "./case-scope.ts";
import { expandTemplate } from "./template.ts";

const scope: CaseScope = {
  directory: "/c-1",
  freshToken: "f".repeat(32),
  startIndex: 40,
  beganAt: 0,
  tokens: [],
  host: "",
  answers: new Map([
    [
      "a",
      {
        kind: "response",
        status: 200,
        headers: { "x-etcd-index": "44" },
        text: "",
        json: { node: { modifiedIndex: 43, key: "/c-1/x" } },
        token: "0123",
        receivedAt: 0,
      },
    ],
  ]),
};

test.for([
  ["/v2/keys{{dir}}/k", "/v2/keys/c-1/k"],
  ["/{{fresh}}/m", `/${"f".repeat(32)}/m`],
  ["/{{a.token}}?waitIndex={{a.header.x-etcd-index+1}}", "/0123?waitIndex=45"],
  ["{{a.node.modifiedIndex}}", "43"],
  ["{{a.node.modifiedIndex-3}}", "40"],
  ["{{a.node.key}}", "/c-1/x"],
  ["{{start}} {{start+2}}", "40 42"],
  ["{{repeat:ab:3}}", "ababab"],
  ["{{a.node.nothing+1}}", "unknown"],
  ["{{nobody.token}}", "unknown"],
  ["plain %7B", "plain %7B"],
] as const)("expandTemplate: %s is %s", ([template, expanded]) => {
  expect(expandTemplate(template, scope)).toBe(expanded);
});

test("expandTemplate: an expression that it does not know is an error", () => {
  expect(() => expandTemplate("{{a b}}", scope)).toThrow(/teach template.ts the expression "{{a b}}"/);
});
