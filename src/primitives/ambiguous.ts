import { isLockstepError, LockstepError } from '../base/errors.ts';

/**
 * The outcome of a step that must not be made twice, and so is not sent again: rejects with `AMBIGUOUS` where the
 * connection was lost between the step and its reply. `what` was asked for, such as `counter "visits": the add`.
 */
export async function orAmbiguous<R>(reply: Promise<R>, what: string): Promise<R> {
  try {
    return await reply;
  } catch (cause) {
    if (!isLockstepError(cause, 'UNAVAILABLE') || cause.details['applied'] !== 'unknown') throw cause;
    throw new LockstepError(
      'AMBIGUOUS',
      `${what} may have happened or not, as the connection was lost before the reply: read the value before you do it again (${cause.message})`,
      { cause, details: cause.details },
    );
  }
}
