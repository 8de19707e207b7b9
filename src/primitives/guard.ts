import { type ErrorDetails, invalidArgument, LockstepError } from '../base/errors.ts';
import { spaceOf } from '../base/names.ts';
import { checkOptions } from '../base/options.ts';
import type { Engine } from '../engines/engine.ts';
import type { Lease } from './lease.ts';

/** Under which condition something is written. */
export interface WriteOptions {
  /**
   * The write happens only while this lease is the lock's owner, in the same step of the store; else it rejects with
   * `LEASE_LOST` and nothing is written. `undefined` is refused, not taken for none: `tryAcquire` may have given it.
   */
  guard?: Lease;
}

/** The condition of one write, as its step takes it (`guarded` in operations/guard.ts), and what to say where it fails. */
export interface Condition {
  /** The key that must hold `owner`; of the thing itself where there is no guard, as a step needs some key. */
  readonly guard: string;
  /** '': no guard. */
  readonly owner: string;
  /** The `LEASE_LOST` error. `undone` says what did not happen: `map "stock", key "apple" was not set`. */
  lost(undone: string, details: ErrorDetails): LockstepError;
}

const guardOnly: ReadonlySet<string> = new Set(['guard']);

/**
 * The condition of a write to `key`, which is of the layout. `known`: the options that the write has. Throws
 * `INVALID_ARGUMENT`, and `LEASE_LOST` for a guard that is known to be over.
 */
export function conditionOf(
  options: WriteOptions | undefined,
  engine: Engine,
  key: string,
  known: ReadonlySet<string> = guardOnly,
): Condition {
  if (options === undefined) return unconditional(key);
  checkOptions('the options of a write', options, known);
  if (!('guard' in options)) return unconditional(key);
  const guard = guardOf(options.guard, engine, spaceOf(key));
  const { lock, fence, owner } = guard;
  return {
    guard: guard.key,
    owner,
    lost: (undone, details) =>
      new LockstepError(
        'LEASE_LOST',
        `${undone}: its guard, the lease of lock ${JSON.stringify(lock)} (fence ${fence}), is over; acquire the lock again and read anew`,
        { details: { lock, fence, ...details } },
      ),
  };
}

function unconditional(key: string): Condition {
  return { guard: key, owner: '', lost: (undone) => new LockstepError('LEASE_LOST', undone) }; // which can't be
}

/** What a write under a lease must find unchanged in the store, in its own step. */
export interface Guard {
  /** Where the lease lives: it guards what came from the same `open` only. */
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
      `a lease that came from the same open() as what it guards (${engine.name}, space ${space})`,
    );
  }
  return guard;
}
