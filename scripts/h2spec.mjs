// Builds h2spec, which judges servers of HTTP/2, from its published Go module and prints where it is:
//   node scripts/h2spec.mjs     /…/.cache/h2spec/<hash>/h2spec
// What is built stands in scripts/h2spec/go.mod, and is kept as long as that is the same. Exits 3 where there is no Go
// that is new enough, 1 where a build fails, with the reason. Plain JavaScript, because Node 20 does not run TypeScript.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CACHE } from "./debian-packages.mjs";
import { buildOnce, hashOf, printWhere } from "./go-build.mjs";

await printWhere("h2spec", async () => {
  const module = fileURLToPath(new URL("h2spec", import.meta.url));
  const directory = join(CACHE, "h2spec", await hashOf(module, ["go.mod", "go.sum"]));
  await buildOnce({ module, directory, programs: { h2spec: "github.com/summerwind/h2spec/cmd/h2spec" } });
  return join(directory, "h2spec");
});
