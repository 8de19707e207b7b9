import { LockstepError } from '../../base/errors.ts';
import type { Guard } from '../guard.ts';
import type { Read } from './steps.ts';

/** What must be so in the store when the transaction commits, whatever its body read. */
export interface Check {
  /** It gives nothing as long as that is so. */
  readonly read: Read;
  /** What the transaction rejects with where it is not so, and the read gave this. */
  over(now: readonly string[]): LockstepError;
  /** The commit is on its way. */
  committing?(): void;
  /** What came of that; false where it is not known. */
  committed?(done: boolean): void;
}

/** The check that a lease is not over. */
export function guardCheck({ key, owner, lock, fence }: Guard): Check {
  const place = { what: `lock ${JSON.stringify(lock)}`, keys: [key], kinds: ['string'] };
  return {
    read: { id: `guard ${key}`, name: key, place, verb: 'guard', parameters: [owner] },
    over: () =>
      new LockstepError(
        'LEASE_LOST',
        `the transaction was not committed: its guard, the lease of lock ${JSON.stringify(lock)} (fence ${fence}), is over; acquire the lock again and read anew. Nothing was written`,
        { details: { lock, fence } },
      ),
  };
}
