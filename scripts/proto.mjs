/**
 * Writes src/proto/*.ts, which git ignores, from proto/*.proto: types and codecs of the messages, and what each service's
 * methods take and give. protobufjs reads the files and ts-proto writes the code; no protoc and no binary for one platform
 * is needed. Nothing is written where what is there is newer than the .proto files, this script and its packages.
 *
 *   node scripts/proto.mjs           (npm run proto; it is part of every build)
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
mustHaveDevelopmentPackages();
const { default: protobuf } = await import("protobufjs");
const { default: descriptor } = await import("protobufjs/ext/descriptor/index.js");

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const source = join(root, "proto");
const target = join(root, "src", "proto");

/** What ts-proto is to write. Its README says what each option does. */
const OPTIONS = [
  // Bytes are Uint8Array and views of what was received, not copies.
  "env=browser",
  "forceLong=bigint",
  "useJsTypeOverride=true",
  "oneof=unions-value",
  "enumsAsLiterals=true",
  "removeEnumPrefix=false",
  "unrecognizedEnum=false",
  "useReadonlyTypes=true",
  "useExactTypes=false",
  "esModuleInterop=true",
  "importSuffix=.ts",
  "outputJsonMethods=false",
  "outputPartialMethods=true",
  "outputServices=generic-definitions",
].join(",");

/** Numbers that are too large for JavaScript: as large as there is, not an error that no client of etcd expects. */
const SATURATING = `function longToNumber(int64: bigint | string | number): number {
  const num = globalThis.Number(int64);
  if (num > globalThis.Number.MAX_SAFE_INTEGER) return globalThis.Number.MAX_SAFE_INTEGER;
  if (num < globalThis.Number.MIN_SAFE_INTEGER) return globalThis.Number.MIN_SAFE_INTEGER;
  return num;
}`;
const THROWING = /function longToNumber\(int64[\s\S]*?\n}/;

/** Messages are written by our own writer, and bytes that are not there are always the same ones. */
const LIBRARY = 'import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";';
const IMPORTS = `import { BinaryReader } from "@bufbuild/protobuf/wire";
import { MessageWriter as BinaryWriter } from "../base/message-writer.ts";`;
const IMPORT_NO_BYTES = 'import { NO_BYTES } from "../base/bytes.ts";';
const NEW_NO_BYTES = /new Uint8Array\(0\)/g;

/** Numbers of 64 bits are written as they are, and it is the writer that refuses what is too large: ts-proto makes bigints. */
const CHECK = /if \(BigInt\.as(?:Int|Uint)N\(64,[^{]*\{\s*throw [^;]*;\s*\}\s*/g;
const AS_BIGINT = /int64\(BigInt\((message\.[\w.]+)\)\)/g;

/** What protoc and its plugins say to each other (google/protobuf/compiler/plugin.proto), as much as is needed here. */
const PLUGIN = protobuf.parse(`
  syntax = "proto3";
  message CodeGeneratorRequest {
    repeated string fileToGenerate = 1;
    string parameter = 2;
    repeated bytes protoFile = 15;
  }
  message CodeGeneratorResponse {
    message File {
      string name = 1;
      string content = 15;
    }
    repeated File file = 15;
  }
`).root.nested;

generate();

function generate() {
  const protos = readdirSync(source)
    .filter((name) => name.endsWith(".proto"))
    .sort();
  const stamp = fingerprint(protos);
  if (readStamp() === stamp) return;
  const written = compile(protos.map(described));
  // Others may be reading what is there: each file is replaced in one step.
  mkdirSync(target, { recursive: true });
  for (const { name, content } of written) replace(join(target, name), content);
  const wanted = new Set(written.map(({ name }) => name));
  for (const name of readdirSync(target)) {
    if (name.endsWith(".ts") && !wanted.has(name)) rmSync(join(target, name));
  }
  replace(join(target, ".made-from"), stamp);
}

/** npm leaves out what only building needs where NODE_ENV is "production", and then runs the build all the same. */
function mustHaveDevelopmentPackages() {
  const missing = ["protobufjs", "ts-proto", "typescript"].find((name) => {
    try {
      require.resolve(`${name}/package.json`);
      return false;
    } catch (error) {
      if (error.code === "MODULE_NOT_FOUND") return true;
      throw error;
    }
  });
  if (missing === undefined) return;
  console.error(
    `muster: Run npm ci --include=dev: building Muster needs its development packages, and ${missing} is missing`,
  );
  process.exit(1);
}

/** What the code is made from, as text: if it is the same, so is the code. */
function fingerprint(protos) {
  const files = [...protos.map((name) => join(source, name)), fileURLToPath(import.meta.url)];
  const versions = ["ts-proto", "protobufjs"].map((name) => `${name} ${require(`${name}/package.json`).version}\n`);
  return [...versions, ...files.map((path) => readFileSync(path, "utf8"))].join("");
}

function readStamp() {
  try {
    return readFileSync(join(target, ".made-from"), "utf8");
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

function replace(path, content) {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, content);
  renameSync(draft, path);
}

/** The descriptor of one .proto file, as protoc would hand it to a plugin. */
function described(name) {
  const tree = new protobuf.Root();
  tree.resolvePath = (_origin, path) => join(source, basename(path));
  tree.loadSync(name, { keepCase: true });
  tree.resolveAll();
  const { package: pkg, imports } = protobuf.parse(readFileSync(join(source, name), "utf8"), { keepCase: true });
  // protobufjs makes one file of each package, and leaves out what protoc's plugins need.
  const file = tree.toDescriptor("proto3").file.find((candidate) => candidate.package === pkg);
  file.name = name;
  file.syntax = "proto3";
  file.dependency = imports ?? [];
  for (const message of file.messageType) qualify(message, tree.lookupType(`${pkg}.${message.name}`));
  for (const service of file.service) {
    const { methods } = tree.lookupService(`${pkg}.${service.name}`);
    for (const method of service.method) {
      method.inputType = methods[method.name].resolvedRequestType.fullName;
      method.outputType = methods[method.name].resolvedResponseType.fullName;
    }
  }
  return file;
}

/** Gives the fields of a message the full names of their types. */
function qualify(message, type) {
  for (const field of message.field) {
    const { resolvedType } = type.fields[field.name];
    if (resolvedType !== null) field.typeName = resolvedType.fullName;
  }
  for (const nested of message.nestedType ?? []) {
    const inner = type.nested?.[nested.name];
    if (inner !== undefined) qualify(nested, inner);
  }
}

/** Runs ts-proto, which is a plugin of protoc: a request on stdin, the files on stdout. */
function compile(files) {
  const { CodeGeneratorRequest, CodeGeneratorResponse } = PLUGIN;
  const request = { fileToGenerate: files.map(({ name }) => name), parameter: OPTIONS, protoFile: files.map(encoded) };
  const plugin = require.resolve("ts-proto/protoc-gen-ts_proto");
  const input = CodeGeneratorRequest.encode(request).finish();
  const run = spawnSync(process.execPath, [plugin], { input, maxBuffer: 64 * 1024 * 1024 });
  if (run.status !== 0) throw new Error(`Look at proto/: ts-proto refuses it: ${run.stderr}`);
  return CodeGeneratorResponse.decode(run.stdout).file.map(({ name, content }) => ({
    name,
    content: adapted(content),
  }));
}

function encoded(file) {
  return descriptor.FileDescriptorProto.encode(file).finish();
}

function adapted(code) {
  const calls = code.includes("longToNumber(");
  if (calls && !THROWING.test(code))
    throw new Error("Look at longToNumber in scripts/proto.mjs: ts-proto writes another one");
  if (!code.includes(LIBRARY)) throw new Error("Look at LIBRARY in scripts/proto.mjs: ts-proto imports something else");
  const written = code
    .replace(THROWING, SATURATING)
    .replace(LIBRARY, code.search(NEW_NO_BYTES) < 0 ? IMPORTS : `${IMPORTS}\n${IMPORT_NO_BYTES}`)
    .replace(NEW_NO_BYTES, "NO_BYTES")
    .replace(CHECK, "")
    .replace(AS_BIGINT, "int64($1)");
  if (/asU?[Ii]ntN|BigInt\(message/.test(written))
    throw new Error("Look at CHECK and AS_BIGINT in scripts/proto.mjs: ts-proto writes something else");
  return written;
}
