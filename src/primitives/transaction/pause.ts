import type { Clock } from '../../base/clock.ts';

/** Resolves after `ms`, at the next turn of the event loop for less than one. */
export function wait(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.timer(ms, resolve));
}
