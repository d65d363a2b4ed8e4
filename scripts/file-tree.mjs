/**
 * Writes the file tree of docs/architecture.md: each source file with the first sentence of its first docstring. So the
 * page cannot name a file that is gone, and a file cannot come without saying what it is for.
 *
 *   node scripts/file-tree.mjs           rewrites the page's tree
 *   node scripts/file-tree.mjs --check   exits with 1 where the page is behind
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const page = join(root, "docs", "architecture.md");
const BEGIN = "<!-- file tree: begin (npm run file-tree) -->";
const END = "<!-- file tree: end -->";
const LONGEST_LINE = 130;
/** Folders of src/ that git ignores: what stands there is generated. */
const GENERATED = {
  proto: "Generated from proto/*.proto by `npm run proto`: types and codecs of messages, methods of services",
};

/** The first sentence of a file's first docstring, on one line. */
function firstSentence(path) {
  const [, comment] = /\/\*\*([\s\S]*?)\*\//.exec(readFileSync(path, "utf8")) ?? [];
  if (comment === undefined) throw new Error(`Begin ${path} with a docstring that says what it is for`);
  const words = comment
    .replace(/^\s*\* ?/gm, " ")
    .replace(/\s+/g, " ")
    .trim();
  const sentence = /^(.*?\.)(\s|$)/.exec(words)?.[1] ?? words;
  const said = sentence.replace(/\.$/, "");
  return said.length > LONGEST_LINE ? `${said.slice(0, said.lastIndexOf(" ", LONGEST_LINE - 1))} …` : said;
}

function* lines(directory, depth) {
  const entries = readdirSync(directory, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries.filter((candidate) => candidate.isDirectory())) {
    if (depth === 1 && Object.hasOwn(GENERATED, entry.name)) continue;
    yield `${"  ".repeat(depth)}${entry.name}/`;
    yield* lines(join(directory, entry.name), depth + 1);
  }
  for (const entry of entries.filter(
    (candidate) => /\.ts$/.test(candidate.name) && !/\.(test|d)\.ts$/.test(candidate.name),
  )) {
    const name = `${"  ".repeat(depth)}${entry.name}`;
    yield `${name.padEnd(36)} ${firstSentence(join(directory, entry.name))}`;
  }
}

const before = readFileSync(page, "utf8");
const begin = before.indexOf(BEGIN) + BEGIN.length;
const end = before.indexOf(END);
if (begin < BEGIN.length || end < begin) throw new Error(`Put "${BEGIN}" and "${END}" into docs/architecture.md`);
const generated = Object.entries(GENERATED).map(([name, said]) => `${`  ${name}/`.padEnd(36)} ${said}`);
const tree = ["src/", ...lines(join(root, "src"), 1), ...generated].join("\n");
const after = `${before.slice(0, begin)}\n\`\`\`text\n${tree}\n\`\`\`\n${before.slice(end)}`;

if (process.argv.includes("--check")) {
  if (after !== before) {
    console.error("Run `npm run file-tree`: the tree in docs/architecture.md is behind the files");
    process.exit(1);
  }
} else {
  writeFileSync(page, after);
}
