import type { Clock } from './clock.ts';

/**
 * A moment on both clocks: what counts as elapsed is the larger of the two. A laptop that sleeps stops the monotonic
 * clock; a wall clock that jumps forward only ends a lease too early, one that jumps back is outvoted.
 */
export interface Instant {
  monotonicMs: number;
  wallMs: number;
}

/** Take it before a request is sent: what the reply grants is counted from there. */
export function instantNow(clock: Clock): Instant {
  return { monotonicMs: clock.monotonicMs(), wallMs: clock.wallUs() / 1_000 };
}

export function later(from: Instant, ms: number): Instant {
  return { monotonicMs: from.monotonicMs + ms, wallMs: from.wallMs + ms };
}

/** Until when a lease of `ttlMs`, granted or renewed by a request that was sent at `sent`, is surely held. */
export function validFor(sent: Instant, ttlMs: number): Instant {
  return later(sent, ttlMs - driftMs(ttlMs));
}

/** What two clocks may disagree by while a lease lasts: 1 % of it, and 2 ms for the granularity of expiry. */
function driftMs(ttlMs: number): number {
  return ttlMs / 100 + 2;
}

/** Milliseconds from `now` to `until`: the smaller figure of the two clocks; negative when it is over. */
export function leftMs(until: Instant, now: Instant): number {
  return Math.min(until.monotonicMs - now.monotonicMs, until.wallMs - now.wallMs);
}

export function isOver(until: Instant, now: Instant): boolean {
  return leftMs(until, now) <= 0;
}

/** The one that comes first, clock by clock. */
export function earlier(a: Instant, b: Instant): Instant {
  return { monotonicMs: Math.min(a.monotonicMs, b.monotonicMs), wallMs: Math.min(a.wallMs, b.wallMs) };
}
