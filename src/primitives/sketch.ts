/**
 * A sketch of a distribution: how many values lie in which bucket, where the border of a bucket is 2 % above the one
 * before. DDSketch (Masson, Rim, Lee: DDSketch, VLDB 2019): any quantile comes out with a relative error of at most 1 %,
 * and sketches are merged by adding up their buckets, in any order.
 *
 * So that a sketch is bounded, the ends of its range are collapsed: what is smaller in size than 1e-9 counts as 0, what is
 * larger than 1e15 as 1e15. That is 2,764 buckets for each sign, of which few are ever used.
 */
const relativeError = 0.01;
const growth = (1 + relativeError) / (1 - relativeError);
const logGrowth = Math.log(growth);
const least = 1e-9;
const most = 1e15;
const lowest = indexOf(least);

/** The bucket of a value: 0, or one that is further from 0 the larger the value is in size, with the value's sign. */
export function bucketOf(value: number): number {
  const size = Math.abs(value);
  if (size < least) return 0;
  const place = indexOf(Math.min(size, most)) - lowest + 1;
  return value < 0 ? -place : place;
}

/** A value that no value of the bucket differs from by more than 1 %. */
export function valueOf(bucket: number): number {
  if (bucket === 0) return 0;
  const size = (2 * growth ** (Math.abs(bucket) - 1 + lowest)) / (growth + 1);
  return bucket < 0 ? -size : size;
}

/** The value at the place `share` of all, in their order: 0 is the first, 1 the last. Undefined where there are none. */
export function quantileOf(buckets: ReadonlyMap<number, number>, share: number): number | undefined {
  const ordered = [...buckets].sort(([a], [b]) => a - b);
  let left = share * (ordered.reduce((sum, [, count]) => sum + count, 0) - 1);
  for (const [bucket, count] of ordered) {
    if (left < count) return valueOf(bucket);
    left -= count;
  }
  return ordered.length === 0 ? undefined : valueOf(ordered.at(-1)![0]);
}

function indexOf(size: number): number {
  return Math.ceil(Math.log(size) / logGrowth);
}
