import { keysOf } from '../../src/base/names.ts';
import type { Engine } from '../../src/engines/engine.ts';
import { acquire, release } from '../../src/operations/lock.ts';
import type { Guard, Guarding } from '../../src/primitives/guard.ts';
import type { Lease } from '../../src/primitives/lease.ts';

/** Takes a lock in the store, as the lock primitive would: something to guard writes with. */
export async function hold(
  engine: Engine,
  lock: string,
  space = 'shop',
): Promise<{ lease: Lease; place: Guard; release(): Promise<unknown> }> {
  const at = keysOf(space).lock(lock);
  const ask = { token: `tester:${++asks}:60000`, ttlMs: '60000', wait: 0, fences: 1, queueMs: 60_000, gives: '' };
  const owner = await engine.run(acquire, at, ask);
  if (typeof owner !== 'string') throw new Error(`the lock ${lock} is held by ${owner[1]}`);
  const place: Guard = { engine, space, lock, fence: asks, key: at.owner, owner };
  return {
    lease: guarding(() => place),
    place,
    release: () => engine.run(release, at, { owner, fences: 1, openEveryMs: 0 }),
  };
}

let asks = 0;

export function guarding(guard: () => Guard): Lease {
  const lease: Guarding = { asGuard: guard };
  return lease as Guarding & Lease;
}
