import { invalidArgument, LockstepError } from './errors.ts';

/**
 * Refuses what is no object, or has other properties than these: a misspelt `timeout` that was ignored would wait for
 * ever. Throws `INVALID_ARGUMENT`.
 */
export function checkOptions(name: string, options: unknown, known: ReadonlySet<string>): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw invalidArgument(name, options, `an object with some of: ${[...known].join(', ')}`);
  }
  for (const key in options) {
    if (!known.has(key)) throw unknownOption(name, key, known);
  }
}

function unknownOption(name: string, key: string, known: ReadonlySet<string>): LockstepError {
  return new LockstepError('INVALID_ARGUMENT', `${name} have no ${JSON.stringify(key)}: use ${[...known].join(', ')}`, {
    details: { argument: key },
  });
}
