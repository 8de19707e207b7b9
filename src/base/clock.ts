/** Time and chance as a session sees them: injected, so that a test can hold them in its hand. */
export interface Clock {
  /** Wall-clock time: µs since 1970. May jump. */
  wallUs(): number;
  /** Monotonic time: ms from an arbitrary start, the same for all threads of a machine. Never goes back. */
  monotonicMs(): number;
  /** Calls `callback` once after `ms`. Does not keep the process alive. */
  timer(ms: number, callback: () => void): Timer;
  /** A random number in [0, 1). */
  random(): number;
}

export interface Timer {
  cancel(): void;
}

const longestTimerMs = 2_147_483_647;

/** The machine's own time. `hrtime` rather than `performance.now()`: the latter starts anew in each thread. */
export const systemClock: Clock = {
  wallUs: () => Date.now() * 1_000,
  monotonicMs: () => {
    const [seconds, nanoseconds] = process.hrtime();
    return seconds * 1_000 + nanoseconds / 1e6;
  },
  timer(ms, callback) {
    const timeout = setTimeout(callback, Math.min(Math.max(ms, 0), longestTimerMs));
    timeout.unref();
    return { cancel: () => clearTimeout(timeout) };
  },
  random: Math.random,
};
