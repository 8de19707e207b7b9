import { AsyncLocalStorage } from 'node:async_hooks';
import type { HeldLease } from './lease.ts';

/**
 * What the running task holds through `run`, its callers' included. Only used to detect cycles, never to let a task
 * in: the context is inherited by `Promise.all` siblings too.
 */
interface Holding {
  readonly lease: HeldLease;
  readonly outer: Holding | undefined;
}

const current = new AsyncLocalStorage<Holding>();

/** Runs `body` as a task that holds `lease`. */
export function whileHolding<T>(lease: HeldLease, body: () => T): T {
  return current.run({ lease, outer: current.getStore() }, body);
}

/** The leases that the running task holds through `run`, innermost first; nothing where it holds none. */
export function heldHere(): HeldLease[] | undefined {
  let holding = current.getStore();
  if (holding === undefined) return undefined;
  const leases: HeldLease[] = [];
  for (; holding !== undefined; holding = holding.outer) {
    if (holding.lease.active) leases.push(holding.lease);
  }
  return leases.length === 0 ? undefined : leases;
}
