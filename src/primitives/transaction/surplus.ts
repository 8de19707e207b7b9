import { LockstepError } from '../../base/errors.ts';

/**
 * Refuses what a verb has no parameter for. Types say so too, but a guard that JavaScript gives to one write of several must
 * not be dropped. Throws `INVALID_ARGUMENT`.
 */
export function noMore(what: string, more: unknown): void {
  if (more === undefined) return;
  throw new LockstepError(
    'INVALID_ARGUMENT',
    `${what}: a call inside of a transaction or batch was given more than it takes, so it did nothing. A guard is given to the whole: transaction(body, { guard }), batch(fill, { guard }); each element needs a call of its own`,
  );
}

/** Refuses the guard of a single write, of which there are none in a transaction. Throws `INVALID_ARGUMENT`. */
export function noGuard(options: object): void {
  if (!('guard' in options)) return;
  throw new LockstepError(
    'INVALID_ARGUMENT',
    'the options of a write inside of a transaction or batch have no "guard", and nothing was written: give it to the whole, transaction(body, { guard }) or batch(fill, { guard })',
    { details: { argument: 'guard' } },
  );
}
