import { isLockstepError, LockstepError } from '../base/errors.ts';
import type { Reply } from '../operations/tx.ts';

/**
 * The outcome of a step that must not be made twice, and so is not sent again: rejects with `AMBIGUOUS` where the
 * connection was lost between the step and its reply. `what` was asked for, such as `counter "visits": the add`.
 */
export async function orAmbiguous<R>(reply: Promise<R>, what: string): Promise<R> {
  try {
    return await reply;
  } catch (cause) {
    throw ambiguityOf(cause, what);
  }
}

/** The error that `orAmbiguous` rejects with where a step failed with `cause`. */
export function ambiguityOf(cause: unknown, what: string): unknown {
  if (!isLockstepError(cause, 'UNAVAILABLE') || cause.details['applied'] !== 'unknown') return cause;
  return new LockstepError(
    'AMBIGUOUS',
    `${what} may have happened or not, as the connection was lost before the reply: read what is there before you do it again (${cause.message})`,
    { cause, details: cause.details },
  );
}

/**
 * What came of the step of a write; throws `lost` where it says that its guard is over. `once` is what must not be done
 * twice without a look, see `orAmbiguous`; undefined where the write, made again, does and says the same.
 */
export async function written<R extends Reply>(step: Promise<R>, lost: () => Error, once?: string): Promise<R> {
  const reply = await (once === undefined ? step : orAmbiguous(step, once));
  if (reply === -1 || (typeof reply === 'object' && reply[0] === 'lost')) throw lost();
  return reply;
}
