/** The closed set of reasons for which a lockstep call rejects. */
export type ErrorCode =
  | 'TIMEOUT'
  | 'LEASE_LOST'
  | 'DEADLOCK'
  | 'CONFLICT'
  | 'AMBIGUOUS'
  | 'UNAVAILABLE'
  | 'CLOSED'
  | 'INVALID_ARGUMENT'
  | 'INVALID_VALUE'
  | 'WRONG_KIND';

const brand: unique symbol = Symbol.for('lockstep.error') as never;

/** What went wrong beyond the message: the resource, its holder, the cycle, … Fields depend on the code. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/**
 * The one error that lockstep rejects with. `code` is stable and is what programs compare;
 * the message says what happened, to which resource, and what to do.
 */
export class LockstepError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: ErrorDetails } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'LockstepError';
    this.code = code;
    this.details = options.details ?? {};
    Object.defineProperty(this, brand, { value: true });
  }
}

/**
 * True for a `LockstepError` (of the given code), also of another copy of this library or another realm,
 * where `instanceof` would say no.
 */
export function isLockstepError<Code extends ErrorCode = ErrorCode>(
  error: unknown,
  code?: Code,
): error is LockstepError & { readonly code: Code } {
  return (
    typeof error === 'object' &&
    error !== null &&
    (error as Record<symbol, unknown>)[brand] === true &&
    (code === undefined || (error as LockstepError).code === code)
  );
}

/** The error for an argument that can't be used: names it, shows what was given, says what is wanted. */
export function invalidArgument(name: string, given: unknown, wanted: string): LockstepError {
  return new LockstepError('INVALID_ARGUMENT', `${name} is ${show(given)}: it must be ${wanted}`, {
    details: { argument: name },
  });
}

function show(given: unknown): string {
  if (typeof given === 'function') return 'a function';
  if (typeof given === 'bigint') return `${given}n`;
  if (typeof given === 'object' && given !== null) return Array.isArray(given) ? 'an array' : 'an object';
  if (typeof given !== 'string') return String(given);
  return JSON.stringify(given.length > 80 ? `${given.slice(0, 80)}…` : given);
}
