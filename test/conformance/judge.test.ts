import { expect, test } from "vitest";
import type { Answer, CaseScope } from "./case-scope.ts";
import type { Deviation } from "./deviations.ts";
import { parseJson } from "./json.ts";
import { judge } from "./judge.ts";
import type { TranscriptCase } from "./transcript.ts";
import type { PlayedCase } from "./transcript-player.ts";

const BEGAN_AT = Date.parse("2026-01-01T00:00:00Z");

function response(status: number, text: string, headers: Record<string, string> = {}): Answer {
  return { kind: "response", status, headers, text, json: parseJson(text), token: undefined, receivedAt: BEGAN_AT };
}

function run(
  steps: TranscriptCase["steps"],
  answers: readonly Answer[],
  more: Partial<TranscriptCase> = {},
): PlayedCase {
  const scope: CaseScope = {
    directory: "/c-1",
    freshToken: "",
    startIndex: 10,
    beganAt: BEGAN_AT,
    tokens: ["ab".repeat(16)],
    host: "http://h:1",
    answers: new Map(),
  };
  return { played: { name: "case", about: "", area: "", steps, ...more }, scope, answers };
}

const get = { method: "GET", path: "/x" };

test("judge: what is new in every run is named before it is compared", () => {
  const text = `{"node":{"key":"/c-1/00000000000000000012","value":"http://h:1/${"ab".repeat(16)}","modifiedIndex":12,"createdIndex":0}}`;
  const recorded = {
    status: 201,
    headers: { "x-etcd-index": "S+2", "x-raft-term": "present" },
    body: { node: { key: "<dir>/<seq S+2>", value: "<host>/<token>", modifiedIndex: "S+2", createdIndex: 0 } },
  };
  const answer = response(201, text, { "x-etcd-index": "12", "x-raft-term": "7", date: "now" });
  expect(judge(run([{ ...get, response: recorded }], [answer]), { strict: true }).lines).toEqual([]);
});

test("judge: a wrong status, header, index or body is told by step", () => {
  const recorded = { status: 200, headers: { "x-etcd-index": "S" }, body: "fine" };
  const answer = response(404, "gone", { "x-etcd-index": "11" });
  expect(judge(run([{ ...get, response: recorded }], [answer]), { strict: true }).lines).toEqual([
    "step 1 GET /x: status: expected 200, got 404",
    'step 1 GET /x: headers.x-etcd-index: expected "S", got "S+1"',
    'step 1 GET /x: body: expected "fine", got "gone"',
  ]);
});

test("judge: a request that failed, or a poll that is pending, does not match a response", () => {
  const steps = [{ ...get, response: { status: 200, headers: {} } }];
  expect(judge(run(steps, [{ kind: "failed", reason: "reset" }]), { strict: true }).lines).not.toEqual([]);
  expect(judge(run(steps, [{ kind: "pending" }]), { strict: true }).lines).not.toEqual([]);
});

test("judge: an expiration lies within two seconds of now + ttl", () => {
  const recorded = { status: 200, headers: {}, body: { ttl: 100, expiration: "<expiration>" } };
  const body = (seconds: number) =>
    `{"ttl":100,"expiration":"${new Date(BEGAN_AT + seconds * 1000).toISOString().replace("Z", "123456Z")}"}`;
  const linesAt = (seconds: number) =>
    judge(run([{ ...get, response: recorded }], [response(200, body(seconds))]), { strict: true }).lines;
  expect(linesAt(100)).toEqual([]);
  expect(linesAt(101)).toEqual([]);
  expect(linesAt(105)).toHaveLength(1);
  expect(linesAt(95)).toHaveLength(1);
});

test("judge: the order of nodes counts only where sorted was asked for", () => {
  const recorded = { status: 200, headers: {}, body: { nodes: [{ key: "a" }, { key: "b" }] } };
  const answer = response(200, '{"nodes":[{"key":"b"},{"key":"a"}]}');
  const linesFor = (path: string) =>
    judge(run([{ method: "GET", path, response: recorded }], [answer]), { strict: true }).lines;
  expect(linesFor("/x")).toEqual([]);
  expect(linesFor("/x?sorted=true")).toHaveLength(2);
});

test("judge: another version's answer is taken, and named, unless it is strict", () => {
  const other = { server: "etcd 9", how: [], steps: { "1": { status: 404, headers: {}, body: "gone" } } };
  const played = run([{ ...get, response: { status: 200, headers: {}, body: "fine" } }], [response(404, "gone")], {
    varies: [other],
  });
  expect(judge(played, { strict: false })).toEqual({ name: "case", lines: [], as: ["etcd 9"] });
  expect(judge(played, { strict: true }).lines).not.toEqual([]);
});

const deviation: Deviation = {
  case: "case",
  reason: "better so",
  steps: {
    "1": {
      response: { status: 400, headers: {}, body: { contains: { "1 to 1000": true } } },
      normalize: { contains: ["1 to 1000"] },
    },
  },
};
const recordedFine = [{ ...get, response: { status: 200, headers: {}, body: "fine" } }];

test("judge: a deviation is expected instead of the recorded answer", () => {
  const answer = response(400, "give a size from 1 to 1000");
  expect(judge(run(recordedFine, [answer]), { strict: true, deviation }).lines).toEqual([]);
});

test("judge: a deviation that answers otherwise than listed, or as recorded, is told", () => {
  expect(judge(run(recordedFine, [response(400, "no")]), { strict: true, deviation }).lines).toHaveLength(1);
  const stale = judge(run(recordedFine, [response(200, "fine")]), { strict: true, deviation }).lines;
  expect(stale[0]).toBe("step 1 GET /x: answers as recorded: take it off the list of deviations");
});

test("judge: a deviation of a step that the case has not is told", () => {
  const beyond = { ...deviation, steps: { "2": { response: { status: 200 } } } };
  const lines = judge(run(recordedFine, [response(200, "fine")]), { strict: true, deviation: beyond }).lines;
  expect(lines).toEqual(["step 2: is a deviation, but the case has 1 steps"]);
});
