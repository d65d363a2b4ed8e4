import { expect, test } from "vitest";
import { listenAddress } from "./config-values.ts";
import { processPlace } from "./process-place.ts";

function at(listen: string, clientListen = "127.0.0.1:8088"): string | undefined {
  return processPlace({ listen: [listenAddress.parse(listen)], clientListen: [listenAddress.parse(clientListen)] });
}

test.runIf(process.platform === "linux")("a process that is started again is at the same place", () => {
  expect(at("127.0.0.1:8087")).toMatch(/^[0-9a-f]{16}$/);
  expect(at("127.0.0.1:8087")).toBe(at("127.0.0.1:8087"));
});

test.each(["10.0.0.5:8087", ":8087", "127.0.0.1:8089"])("another that listens on %s is not", (listen) => {
  expect(at(listen)).not.toBe(at("127.0.0.1:8087"));
});

test("where the system chooses a port the place is not known: two such processes may live", () => {
  expect(at("127.0.0.1:0")).toBeUndefined();
  expect(at("127.0.0.1:8087", "127.0.0.1:0")).toBeUndefined();
});
