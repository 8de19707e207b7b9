import { invalidArgument } from '../base/errors.ts';
import { quantileOf } from './sketch.ts';
import type { Window } from './windows.ts';

/** What was recorded in one window. */
export interface StatsSnapshot {
  /** The window: `start` <= t < `end`, ms since 1970. */
  readonly start: number;
  readonly end: number;
  readonly count: number;
  readonly sum: number;
  /** These are undefined where nothing was recorded. */
  readonly min: number | undefined;
  readonly max: number | undefined;
  readonly mean: number | undefined;
  /** The standard deviation of the values from their mean: they are the whole population, not a sample of it. */
  readonly deviation: number | undefined;
  /** Values a second: of the window's whole length, or of what has passed of it. */
  readonly rate: number;
  /**
   * The value at the place `share` of all, in their order: 0.5 is the median, 0.99 what all but one in a hundred stay
   * below. It is at most 1 % off, for values of 1e-9 to 1e15 in size; what is smaller counts as 0, what is larger as 1e15.
   * Undefined where nothing was recorded. Throws `INVALID_ARGUMENT` where the statistics keep no quantiles.
   */
  quantile(share: number): number | undefined;
}

/** The snapshot of a window at a time, from what the store has of it. */
export function snapshotOf(
  fields: ReadonlyMap<string, string>,
  { start, end }: Window,
  nowMs: number,
  quantiles: boolean,
): StatsSnapshot {
  const count = number(fields, 'count') ?? 0;
  const sum = number(fields, 'sum') ?? 0;
  const min = number(fields, 'min');
  const max = number(fields, 'max');
  const passedMs = Math.max(1, Math.min(nowMs, end) - start);
  const [mean, deviation] = count === 0 ? [undefined, undefined] : momentsOf(fields, count, sum);
  return {
    start,
    end,
    count,
    sum,
    min,
    max,
    mean,
    deviation,
    rate: (count * 1_000) / passedMs,
    quantile(share) {
      if (!quantiles) throw invalidArgument('quantiles', undefined, 'true, for statistics to keep quantiles');
      if (!(share >= 0 && share <= 1)) throw invalidArgument('share', share, 'a number from 0 to 1');
      if (min === undefined || max === undefined) return undefined;
      if (share === 0 || share === 1) return share === 0 ? min : max;
      return Math.min(Math.max(quantileOf(bucketsOf(fields), share) ?? min, min), max);
    },
  };
}

function momentsOf(fields: ReadonlyMap<string, string>, count: number, sum: number): [number, number] {
  const offset = (number(fields, 'offsets') ?? 0) / count;
  const variance = (number(fields, 'squares') ?? 0) / count - offset * offset;
  return [sum / count, Math.sqrt(Math.max(0, variance))];
}

function bucketsOf(fields: ReadonlyMap<string, string>): Map<number, number> {
  const buckets = new Map<number, number>();
  for (const [field, count] of fields) {
    if (field.startsWith('bucket:')) buckets.set(Number(field.slice('bucket:'.length)), Number(count));
  }
  return buckets;
}

function number(fields: ReadonlyMap<string, string>, name: string): number | undefined {
  const text = fields.get(name);
  return text === undefined ? undefined : Number(text);
}
