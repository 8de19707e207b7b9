/** What the exit codes of `lockstep` mean; those of BSD's sysexits.h and of the shell. A command's own go through. */
export const exitCodes = {
  /** Something that should not happen. */
  failure: 1,
  /** The command line can't be understood. */
  usage: 64,
  /** The store can't be reached or written. */
  unavailable: 69,
  /** The lease was lost, and the command ended for it. */
  leaseLost: 70,
  /** The lock was not free in time. */
  timeout: 75,
  /** The command is there and can't be run. */
  notExecutable: 126,
  /** The command is not there. */
  notFound: 127,
  /** Ended by signal n: this and n. */
  signalled: 128,
} as const;
