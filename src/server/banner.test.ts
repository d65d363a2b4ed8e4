import { expect, test } from "vitest";
import { banner } from "./banner.ts";

const options = {
  version: "1.2.3",
  store: "/srv/muster-data",
  publicUrl: undefined,
  warnings: [],
  publicUrls: ["http://127.0.0.1:18087", "http://[::1]:18087"],
  clientUrls: ["http://127.0.0.1:18088"],
};

test("banner: names the version, the store and every address", () => {
  const text = banner(options);
  for (const part of ["1.2.3", options.store, ...options.publicUrls, ...options.clientUrls]) {
    expect(text).toContain(part);
  }
  expect(text.endsWith("\n")).toBe(true);
});

test("banner: its commands use the address that was really chosen", () => {
  const text = banner(options);
  expect(text).toContain("curl -sS 'http://127.0.0.1:18087/new?size=3'");
  expect(text).not.toContain(":8087/");
});

test("banner: the three etcds have ports of their own, away from etcd's usual ones", () => {
  const start = banner(options)
    .split("\n")
    .find((line) => line.includes("etcd --name"));
  expect(start).toContain("--listen-peer-urls http://127.0.0.1:1238$i ");
  expect(start).toContain("--advertise-client-urls http://127.0.0.1:1237$i");
});

test("banner: with a public URL the commands use that one", () => {
  expect(banner({ ...options, publicUrl: "https://d.example/x" })).toContain(
    "curl -sS 'https://d.example/x/new?size=3'",
  );
});

test.each(["http://0.0.0.0:9", "http://[::]:9"])("banner: %s is no address to connect to", (url) => {
  const text = banner({ ...options, publicUrls: [url] });
  expect(text).toContain("curl -sS 'http://127.0.0.1:9/new?size=3'");
  expect(text).toContain(url);
});

test("banner: warnings stand before the commands", () => {
  const text = banner({ ...options, warnings: ["Beware of the dog", "Mind the gap"] });
  expect(text).toMatch(/18088\n\nWarning: Beware of the dog\.\n\nWarning: Mind the gap\.\n\nGet a discovery URL/);
});
