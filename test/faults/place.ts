/** Where the processes of a fault run live: each place has an address, and what runs there can be cut off from others. */

import { restartablePorts } from "../support/ports.ts";
import type { ProcessOptions, RunningProcess } from "../support/processes.ts";
import { startProcess } from "../support/processes.ts";

export interface Place {
  readonly name: string;
  /** By which all others reach what listens here. */
  readonly address: string;
  /** Ports for servers that are stopped and started again on them. */
  ports(count: number): Promise<readonly number[]>;
  start(command: string, parameters: readonly string[], options?: ProcessOptions): Promise<RunningProcess>;
}

export interface Network extends AsyncDisposable {
  /** For the report: what its places are. */
  readonly kind: string;
  /** Whether `cut` works; where it does not, faults that need it are left out. */
  readonly canCut: boolean;
  /** Where the test itself is. */
  readonly outside: Place;
  place(name: string): Promise<Place>;
  /** From now on nothing that `from` sends reaches `to`; neither is told. The other way stays open. */
  cut(from: Place, to: Place): Promise<void>;
  heal(from: Place, to: Place): Promise<void>;
}

/** All on 127.0.0.1, each server on ports of its own: where namespaces cannot be made. */
export class LoopbackNetwork implements Network {
  readonly kind = "loopback ports, no links are cut";
  readonly canCut = false;
  readonly outside = loopbackPlace("outside");

  async place(name: string): Promise<Place> {
    return loopbackPlace(name);
  }

  async cut(): Promise<void> {
    throw new Error("cut links between namespaces only: on loopback there are none");
  }

  heal(): Promise<void> {
    return this.cut();
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function loopbackPlace(name: string): Place {
  return { name, address: "127.0.0.1", ports: restartablePorts, start: startProcess };
}
