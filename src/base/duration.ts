import { invalidArgument } from './errors.ts';

type Unit = 'ms' | 's' | 'm' | 'h' | 'd';

/** A length of time: a number of milliseconds, or a number with a unit: `'250ms'`, `'5s'`, `'1.5h'`. */
export type Duration = number | `${number}${Unit}`;

const unitMs: Readonly<Record<Unit, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * The whole milliseconds of a duration.
 * Rejects with `INVALID_ARGUMENT` what is not a duration, or lies outside `[min, max]` (milliseconds).
 */
export function toMs(name: string, duration: Duration, min: number, max: number): number {
  const ms = typeof duration === 'number' ? duration : parse(duration);
  if (!(ms >= min && ms <= max)) {
    throw invalidArgument(name, duration, `a duration between ${min} and ${max} ms, such as 5000 or '5s'`);
  }
  return Math.ceil(ms);
}

function parse(text: unknown): number {
  const match = typeof text === 'string' ? /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) : null;
  return match === null ? Number.NaN : Number(match[1]) * unitMs[match[2] as Unit];
}
