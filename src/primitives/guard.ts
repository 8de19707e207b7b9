import { invalidArgument } from '../base/errors.ts';
import type { Engine } from '../engines/engine.ts';

/** What a write under a lease must find unchanged in the store, in its own step. */
export interface Guard {
  /** Where the lease lives: it guards writes to the same store and space only. */
  readonly engine: Engine;
  readonly space: string;
  /** For messages. */
  readonly lock: string;
  readonly fence: number;
  /** The key that must still hold `owner`. */
  readonly key: string;
  readonly owner: string;
}

/** Every lease, though its public type does not show it: a guard is the library's own business. */
export interface Guarding {
  /** Throws the `LEASE_LOST` error where the lease is lost or released: its owner may be the next task's by now. */
  asGuard(): Guard;
}

/**
 * What `lease` asks of a guarded write to `space`. Throws `LEASE_LOST` when it is known to be over,
 * `INVALID_ARGUMENT` for what is no lease of this store and space.
 */
export function guardOf(lease: unknown, engine: Engine, space: string): Guard {
  if (typeof (lease as Partial<Guarding> | null | undefined)?.asGuard !== 'function') {
    const set = Array.isArray((lease as { leases?: unknown } | null | undefined)?.leases);
    throw invalidArgument(
      'guard',
      lease,
      set ? 'one of the leases of the set' : "a lease, as a lock's acquire and run give it",
    );
  }
  const guard = (lease as Guarding).asGuard();
  if (guard.engine !== engine || guard.space !== space) {
    throw invalidArgument(
      'guard',
      lease,
      `a lease of the same store and space as what it guards (${engine.name}, space ${space})`,
    );
  }
  return guard;
}
