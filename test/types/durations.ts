/** Checked by `npm run types` alone: what must not compile, and what must. */
import type { Duration } from '../../src/base/duration.ts';
import type { WaitOptions } from '../../src/base/waiting.ts';

export const durations: Duration[] = [0, 1.5, '250ms', '5s', '1.5h', '10m', '2d'];

// @ts-expect-error: no such unit
export const parsecs: Duration = '5 parsecs';
// @ts-expect-error: no unit
export const bare: Duration = '5';
// @ts-expect-error: not a number of milliseconds
export const big: Duration = 5n;

export const waits: WaitOptions[] = [{}, { timeout: '5s' }, { signal: AbortSignal.timeout(5) }, { timeout: undefined }];

// @ts-expect-error: no such option
export const misspelt: WaitOptions = { timeuot: 5 };
// @ts-expect-error: a controller is no signal
export const controller: WaitOptions = { signal: new AbortController() };
