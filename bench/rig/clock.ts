/** ms of the machine's monotonic clock: the same in all processes, to about a microsecond. */
export function nowMs(): number {
  return performance.now() + offsetMs;
}

const offsetMs = Math.min(
  ...Array.from({ length: 50 }, () => {
    const before = performance.now();
    return Number(process.hrtime.bigint()) / 1e6 - before;
  }),
);

/** Calls at that time, as exactly as a timer does. */
export function at(ms: number, call: () => void): void {
  setTimeout(call, Math.max(0, ms - nowMs()));
}
