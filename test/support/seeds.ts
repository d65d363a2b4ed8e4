/** Set up before each test file: properties that choose no seed of their own have the same one everywhere. */
import fc from "fast-check";

/** So a run tells of the change that it tests, and not of luck; MUSTER_TEST_SEED looks elsewhere. */
const SEED = 3;

fc.configureGlobal({ seed: Number(process.env.MUSTER_TEST_SEED ?? SEED) });
