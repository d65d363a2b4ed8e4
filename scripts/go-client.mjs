// Builds the Go client that gRPC's interoperability tests are played with (test/support/go-client) and prints where it is:
//   node scripts/go-client.mjs     /…/.cache/go-client/<hash>/go-client
// What was built is kept as long as its sources are the same. Exits 3 where there is no Go that is new enough, 1 where a
// build fails, with the reason. Plain JavaScript, because Node 20 does not run TypeScript.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CACHE } from "./debian-packages.mjs";
import { buildOnce, hashOf, printWhere } from "./go-build.mjs";

await printWhere("Go client", async () => {
  const module = fileURLToPath(new URL("../test/support/go-client", import.meta.url));
  const directory = join(CACHE, "go-client", await hashOf(module, ["go.mod", "go.sum", "main.go"]));
  await buildOnce({ module, directory, programs: { "go-client": "." } });
  return join(directory, "go-client");
});
