// Preloaded into a Muster under test (`node --import`): its wall clock is off by what MUSTER_TEST_CLOCK_FILE says (ms,
// decimal; no file: 0), looked at when it starts and at each SIGUSR2. What tells only how time passes is left alone.
import { readFileSync, writeSync } from "node:fs";

const file = process.env.MUSTER_TEST_CLOCK_FILE ?? "";
const MachineDate = Date;
let offMs = 0;

globalThis.Date = class extends MachineDate {
  constructor(...parameters) {
    if (parameters.length === 0) super(MachineDate.now() + offMs);
    else super(...parameters);
  }

  static now() {
    return MachineDate.now() + offMs;
  }
};

function look() {
  try {
    offMs = Number(readFileSync(file, "utf8"));
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
    offMs = 0;
  }
}

look();
process.on("SIGUSR2", () => {
  look();
  writeSync(2, `shifted-clock: off by ${offMs} ms\n`);
});
