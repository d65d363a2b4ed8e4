import { defineConfig } from "vitest/config";

/** The tests with real processes: one file at a time, because each starts up to sixteen servers. */
export default defineConfig({
  test: {
    include: ["test/e2e/**/*.test.ts"],
    globalSetup: ["test/support/build.ts"],
    fileParallelism: false,
    // Far beyond what a test takes: on a busy machine clusters form slowly.
    testTimeout: 300_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 20_000 } },
  },
});
