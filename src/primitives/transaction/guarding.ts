import { LockstepError } from '../../base/errors.ts';
import type { Guard } from '../guard.ts';
import type { Read } from './steps.ts';

/** The check that a lease is not over: it gives nothing as long as that is so. */
export interface LeaseRead {
  readonly read: Read;
  readonly guard: Guard;
}

export function guardRead(guard: Guard): LeaseRead {
  const { key, owner, lock } = guard;
  const place = { what: `lock ${JSON.stringify(lock)}`, keys: [key], kinds: ['string'] };
  return { guard, read: { id: `guard ${key}`, name: key, place, verb: 'guard', parameters: [owner] } };
}

export function leaseOver({ guard: { lock, fence } }: LeaseRead): LockstepError {
  return new LockstepError(
    'LEASE_LOST',
    `the transaction was not committed: its guard, the lease of lock ${JSON.stringify(lock)} (fence ${fence}), is over; acquire the lock again and read anew. Nothing was written`,
    { details: { lock, fence } },
  );
}
