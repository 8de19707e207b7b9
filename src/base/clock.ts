import { limits } from './limits.ts';

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

/** `performance.now()` is the faster of the two, and starts anew in each thread. */
const [seconds, nanoseconds] = process.hrtime();
const startMs = seconds * 1_000 + nanoseconds / 1e6 - performance.now();

/** The machine's own time. */
export const systemClock: Clock = {
  wallUs: () => Date.now() * 1_000,
  monotonicMs: () => startMs + performance.now(),
  timer(ms, callback) {
    const timeout = setTimeout(callback, Math.min(Math.max(ms, 0), limits.timerMsMax));
    timeout.unref();
    return { cancel: () => clearTimeout(timeout) };
  },
  random: Math.random,
};
