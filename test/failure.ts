import { expect } from 'vitest';
import type { ErrorCode } from '../src/base/errors.ts';

/** Matches a LockstepError of this code, whose message holds this text or matches this pattern. */
export function failure(code: ErrorCode, message: string | RegExp = ''): unknown {
  const text: unknown = typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message);
  return expect.objectContaining({ code, message: text });
}
