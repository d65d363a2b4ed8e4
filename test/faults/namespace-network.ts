/**
 * Network namespaces that are wired to one switch, which is a namespace as well: nothing of them shows on the machine but
 * one cable to the test, and all of it goes with the processes that hold them, even where the test is killed.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { type ProcessOptions, type RunningProcess, startProcess } from "../support/processes.ts";
import { LoopbackNetwork, type Network, type Place } from "./place.ts";

/** Kept free for measurements between machines (RFC 2544): nobody's real addresses. */
const NET = "198.18";

/** The first port in a place: nobody else is there. */
const FIRST_PORT = 2379;

/** A frame to it is taken by nobody. */
const NOBODY = "02:4d:00:00:00:ff";

/** Namespaces where this user may make them (root), else ports on loopback. */
export async function openNetwork(): Promise<Network> {
  try {
    return await NamespaceNetwork.open();
  } catch (error) {
    console.warn("no network namespaces, so no links are cut:", error instanceof Error ? error.message : error);
    return new LoopbackNetwork();
  }
}

interface Wired extends Place {
  readonly mac: string;
  /** The namespace's; absent for the test's own. */
  readonly holder?: ChildProcess;
}

export class NamespaceNetwork implements Network {
  readonly kind = "network namespaces";
  readonly canCut = true;
  readonly outside: Place;
  readonly #subnet: number;
  readonly #switch: ChildProcess;
  readonly #wired: Wired[];
  readonly #cable: string;

  private constructor(parts: {
    readonly subnet: number;
    readonly center: ChildProcess;
    readonly outside: Wired;
    readonly cable: string;
  }) {
    this.#subnet = parts.subnet;
    this.#switch = parts.center;
    this.#wired = [parts.outside];
    this.#cable = parts.cable;
    this.outside = parts.outside;
  }

  /** Rejects where the user may not make namespaces. */
  static async open(): Promise<NamespaceNetwork> {
    const center = await holdNamespace();
    try {
      const subnet = freeSubnet();
      const cable = cableOf(subnet);
      const outside: Wired = { ...placeOf(undefined, { name: "outside", subnet, number: 1 }) };
      await ip(center, ["link add hub type bridge", "link set hub up"]);
      await ip(undefined, [
        `link add ${cable} address ${outside.mac} type veth peer name p1 netns ${center.pid}`,
        `addr add ${outside.address}/24 dev ${cable}`,
        `link set ${cable} up`,
      ]);
      await ip(center, ["link set p1 master hub up"]);
      return new NamespaceNetwork({ subnet, center, outside, cable });
    } catch (error) {
      await end(center);
      throw error;
    }
  }

  async place(name: string): Promise<Place> {
    const number = this.#wired.length + 1;
    const holder = await holdNamespace();
    const place = placeOf(holder, { name, subnet: this.#subnet, number });
    await ip(this.#switch, [
      `link add p${number} type veth peer name eth0 address ${place.mac} netns ${holder.pid}`,
      `link set p${number} master hub up`,
    ]);
    await ip(holder, ["link set lo up", `addr add ${place.address}/24 dev eth0`, "link set eth0 up"]);
    this.#wired.push(place);
    for (const other of this.#wired.slice(0, -1)) {
      await this.#tell(other, { about: place, mac: place.mac });
      await this.#tell(place, { about: other, mac: other.mac });
    }
    return place;
  }

  async cut(from: Place, to: Place): Promise<void> {
    await this.#tell(this.#find(from), { about: this.#find(to), mac: NOBODY });
  }

  async heal(from: Place, to: Place): Promise<void> {
    const other = this.#find(to);
    await this.#tell(this.#find(from), { about: other, mac: other.mac });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { holder } of this.#wired) if (holder !== undefined) await end(holder);
    await end(this.#switch);
  }

  /** Every place has all others' hardware addresses by heart, so that a wrong one cuts a link without anybody's notice. */
  async #tell(place: Wired, { about, mac }: { readonly about: Wired; readonly mac: string }): Promise<void> {
    const device = place.holder === undefined ? this.#cable : "eth0";
    await ip(place.holder, [`neigh replace ${about.address} lladdr ${mac} dev ${device} nud permanent`]);
  }

  #find(place: Place): Wired {
    const found = this.#wired.find(({ name }) => name === place.name);
    if (found === undefined) throw new Error(`make the place "${place.name}" in this network first`);
    return found;
  }
}

function cableOf(subnet: number): string {
  return `muster-f${subnet}`;
}

/** One whose cable is not there: that of a network that was ended goes a moment later. */
function freeSubnet(): number {
  const numbers = Array.from({ length: 254 }, (_, place) => place + 1);
  const free = numbers.filter((number) => !existsSync(`/sys/class/net/${cableOf(number)}`));
  const chosen = free[randomInt(Math.max(free.length, 1))];
  if (chosen === undefined) throw new Error("end other fault runs first: all networks are in use");
  return chosen;
}

function placeOf(
  holder: ChildProcess | undefined,
  { name, subnet, number }: { readonly name: string; readonly subnet: number; readonly number: number },
): Wired {
  let next = FIRST_PORT;
  const ports = async (count: number) => Array.from({ length: count }, () => next++);
  const mac = `02:4d:00:00:00:${number.toString(16).padStart(2, "0")}`;
  const start = (command: string, parameters: readonly string[], options?: ProcessOptions): Promise<RunningProcess> => {
    const [program = command, ...rest] = [...into(holder), command, ...parameters];
    return startProcess(program, rest, options);
  };
  return {
    name,
    address: `${NET}.${subnet}.${number}`,
    mac,
    ports,
    start,
    ...(holder === undefined ? {} : { holder }),
  };
}

/** Begins a command line that runs the rest of it in a namespace, as the same process. */
function into(holder: ChildProcess | undefined): readonly string[] {
  return holder === undefined ? [] : ["nsenter", `--net=/proc/${holder.pid}/ns/net`];
}

/** A process that does nothing in a namespace of its own, and ends when this one does. */
async function holdNamespace(): Promise<ChildProcess> {
  const holder = spawn("unshare", ["--net", "cat"], { stdio: ["pipe", "pipe", "pipe"] });
  const errors: Buffer[] = [];
  holder.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
  // It may be gone before it has read that.
  holder.stdin.on("error", () => undefined);
  holder.stdin.write("here\n");
  const failed = Promise.race([
    once(holder, "exit"),
    once(holder, "error").then(([error]) => {
      throw error;
    }),
  ]).then(() => {
    throw new Error(`let this user make network namespaces: ${Buffer.concat(errors).toString().trim()}`);
  });
  failed.catch(() => undefined);
  await Promise.race([once(holder.stdout, "data"), failed]);
  return holder;
}

async function end(holder: ChildProcess): Promise<void> {
  if (holder.exitCode !== null || holder.signalCode !== null) return;
  const ended = once(holder, "exit");
  holder.stdin?.end();
  await ended;
}

/** Runs lines of `ip -batch` in a namespace. */
async function ip(holder: ChildProcess | undefined, lines: readonly string[]): Promise<void> {
  const [program = "ip", ...rest] = [...into(holder), "ip", "-batch", "-"];
  const child = spawn(program, rest, { stdio: ["pipe", "ignore", "pipe"] });
  const errors: Buffer[] = [];
  child.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
  child.stdin.on("error", () => undefined);
  child.stdin.end(`${lines.join("\n")}\n`);
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`ip ${lines.join("; ")}: ${Buffer.concat(errors).toString().trim()}`);
}
