import { expect, test } from "vitest";
import { FAILED_HANDSHAKE_INTERVAL_MS } from "../base/limits.ts";
import { createLog } from "../base/log.ts";
import { FailedHandshakes, type HandshakeError } from "./failed-handshakes.ts";

interface Stage {
  readonly failed: FailedHandshakes;
  /** The lines logged so far, without their time. */
  lines(): unknown[];
  pass(ms: number): void;
}

function stage(): Stage {
  let now = 1_000;
  const lines: string[] = [];
  const log = createLog({ level: "info", format: "json", destination: { write: (line) => lines.push(line) } });
  return {
    failed: new FailedHandshakes({ clock: { monotonic: () => now }, log, listener: "0.0.0.0:8087" }),
    lines: () => lines.map((line) => ({ ...JSON.parse(line), time: undefined })),
    pass: (ms) => {
      now += ms;
    },
  };
}

function failure(code: string, reason?: string): HandshakeError {
  return Object.assign(new Error("it failed"), { code, ...(reason === undefined ? {} : { reason }) });
}

const IN_CLEAR = failure("ERR_SSL_HTTP_REQUEST", "http request");

test("FailedHandshakes: a line says why, who and where", () => {
  const { failed, lines } = stage();
  failed.tell(IN_CLEAR, "10.0.0.1");
  expect(lines()).toEqual([
    {
      level: "warn",
      reason: "http request",
      address: "10.0.0.1",
      listener: "0.0.0.0:8087",
      msg: "a client spoke HTTP in clear to a listener with TLS: let its URL begin with https://",
    },
  ]);
});

test.each([
  ["ERR_SSL_WRONG_VERSION_NUMBER", "perhaps gRPC in clear"],
  ["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", "does not take the certificate"],
  ["ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE", "does not take the certificate"],
  ["ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_EXPIRED", "does not take the certificate"],
  ["ECONNRESET", "broke off a TLS handshake"],
  ["ERR_SSL_NO_APPLICATION_PROTOCOL", "a TLS handshake failed"],
])("FailedHandshakes: %s is told in words", (code, words) => {
  const { failed, lines } = stage();
  failed.tell(failure(code), "10.0.0.1");
  expect(lines()).toEqual([expect.objectContaining({ reason: "it failed", msg: expect.stringContaining(words) })]);
});

test("FailedHandshakes: a reason is told once in a while, and then how often it was not", () => {
  const { failed, lines, pass } = stage();
  for (let client = 0; client < 1_000; client++) failed.tell(IN_CLEAR, `10.0.0.${client % 250}`);
  pass(FAILED_HANDSHAKE_INTERVAL_MS - 1);
  failed.tell(IN_CLEAR, "10.0.0.2");
  expect(lines()).toHaveLength(1);
  pass(1);
  failed.tell(IN_CLEAR, "10.0.0.3");
  failed.tell(IN_CLEAR, "10.0.0.4");
  expect(lines().slice(1)).toEqual([expect.objectContaining({ address: "10.0.0.3", suppressed: 1_000 })]);
  pass(FAILED_HANDSHAKE_INTERVAL_MS);
  failed.tell(IN_CLEAR, "10.0.0.5");
  expect(lines().slice(2)).toEqual([expect.objectContaining({ address: "10.0.0.5", suppressed: 1 })]);
});

test("FailedHandshakes: one reason does not keep another back", () => {
  const { failed, lines } = stage();
  failed.tell(IN_CLEAR, "10.0.0.1");
  failed.tell(failure("ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", "tlsv1 alert unknown ca"), "10.0.0.2");
  expect(lines()).toEqual([
    expect.objectContaining({ reason: "http request" }),
    expect.objectContaining({ reason: "tlsv1 alert unknown ca", address: "10.0.0.2" }),
  ]);
});
