/** Reads what `strace -f -xx` wrote: system calls as they were entered and as they returned, in the order of both. */
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";

/** One system call. Its `result` is known once it has returned: what it gave, or -1 where it failed. */
export interface Call {
  readonly thread: string;
  readonly name: string;
  /** As strace writes them, strings in hexadecimal. */
  readonly parameters: string;
  result: number | undefined;
}

/** Either half of a call: between the two, others may run. */
export interface Moment {
  readonly half: "entered" | "returned";
  readonly call: Call;
}

/** strace's options that this reader needs; those for what is traced come beside. */
export const STRACE_FORMAT = ["-f", "-xx", "-s", "16777216", "-qq"] as const;

const LINE = /^(\d+) +(.*)$/s;
const ENTERED = /^(\w+)\((.*?)( *<unfinished \.\.\.>)?$/s;
const RETURNED = /^<\.\.\. (\w+) resumed>(.*)$/s;
const RESULT = /\) *= (-?\d+|0x[0-9a-f]+|\?)(?: [^"]*)?$/;

/** Reads a trace line by line. */
export class TraceReader {
  readonly #underWay = new Map<string, Call>();

  /** What one line tells: a half of a call, both, or nothing (signals, exits). Throws on a line that it cannot read. */
  read(line: string): readonly Moment[] {
    const [, thread = "", rest = ""] = LINE.exec(line) ?? fail(line);
    if (rest.startsWith("---") || rest.startsWith("+++") || rest === "") {
      return [];
    }
    const resumed = RETURNED.exec(rest);
    if (resumed !== null) {
      return this.#resume(thread, line);
    }
    const [, name = "", inside = "", unfinished] = ENTERED.exec(rest) ?? fail(line);
    if (unfinished !== undefined) {
      const call: Call = { thread, name, parameters: inside, result: undefined };
      this.#underWay.set(thread, call);
      return [{ half: "entered", call }];
    }
    const end = RESULT.exec(inside) ?? fail(line);
    const call: Call = { thread, name, parameters: inside.slice(0, end.index), result: undefined };
    return [{ half: "entered", call }, ...returned(call, end[1])];
  }

  #resume(thread: string, line: string): readonly Moment[] {
    const call = this.#underWay.get(thread) ?? fail(line);
    this.#underWay.delete(thread);
    return returned(call, (RESULT.exec(line) ?? fail(line))[1]);
  }
}

/** A call whose process died in it never returns: strace writes a question mark. */
function returned(call: Call, result: string | undefined): readonly Moment[] {
  if (result === "?") {
    return [];
  }
  call.result = Number(result);
  return [{ half: "returned", call }];
}

function fail(line: string): never {
  throw new Error(`teach the reader of traces this line: ${line.slice(0, 200)}`);
}

/** All that a trace tells. */
export async function readTrace(file: string): Promise<readonly Moment[]> {
  const reader = new TraceReader();
  const moments: Moment[] = [];
  for await (const line of createInterface({ input: createReadStream(file, "latin1") })) {
    moments.push(...reader.read(line));
  }
  return moments;
}

/** The strings among a call's parameters, such as the path of an open or the parts of a writev. */
export function strings(call: Call): readonly Buffer[] {
  return [...call.parameters.matchAll(/"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?/g)].map(([whole, hex = "", cut]) => {
    if (cut !== undefined) {
      throw new Error(`let strace write whole strings, not ${whole.slice(0, 50)}…`);
    }
    return Buffer.from(hex.replaceAll("\\x", ""), "hex");
  });
}

/** The numbers among a call's parameters by their place from the start, or from the end where it is negative. */
export function number(call: Call, place: number): number {
  const text = call.parameters.split(", ").at(place);
  const value = Number(text);
  if (text === undefined || !Number.isSafeInteger(value)) {
    throw new Error(`teach the reader of traces ${call.name}(${call.parameters.slice(0, 200)})`);
  }
  return value;
}
