import { isLockstepError } from '../../../src/index.ts';

/** The code of an error of lockstep, the text of any other. */
export function codeOf(error: unknown): string {
  return isLockstepError(error) ? error.code : String(error);
}
