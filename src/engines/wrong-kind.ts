import { LockstepError } from '../base/errors.ts';

/** `WRONG_KIND`: a key holds `found`, one of Redis's types, where another one is wanted. */
export function wrongKind(key: string, found: string, wanted: string): LockstepError {
  return new LockstepError(
    'WRONG_KIND',
    `The key ${JSON.stringify(key)} holds a ${found}, where a ${wanted} is wanted: another kind of thing, or another ` +
      'program, uses it. Choose another name, or delete the key.',
    { details: { key, found, wanted } },
  );
}
