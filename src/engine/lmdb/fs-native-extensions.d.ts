/** The part of fs-native-extensions that Muster uses; the package has no types of its own. */
declare module "fs-native-extensions" {
  /**
   * Takes an exclusive lock on the whole file behind `fd`, which must be open for writing. On Linux it is an open file
   * description lock: it conflicts with every other opening, in this process too, and ends when `fd` is closed or the
   * process dies. False: somebody else has it.
   */
  export function tryLock(fd: number): boolean;
}
