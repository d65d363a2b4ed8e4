import { defineConfig } from "vitest/config";

/** The tests with real processes: one file at a time, because each starts up to sixteen servers. */
export default defineConfig({
  test: {
    include: ["test/e2e/**/*.test.ts"],
    globalSetup: ["test/support/build.ts"],
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 60_000,
  },
});
