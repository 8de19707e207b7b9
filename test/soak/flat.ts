/** What was measured at a time: ms from the begin. */
export interface Point {
  readonly at: number;
  readonly value: number;
}

/** How much something may grow and still count as flat: a share of its size, and so much besides. */
export interface Tolerance {
  readonly share: number;
  readonly slack: number;
}

/** What is before this share of the time is warm-up: caches fill, code is compiled. */
const warmUp = 0.3;

/**
 * How much it grew from the end of the warm-up to the end: the median of all slopes between two points (Theil, 1950; Sen,
 * 1968), which single spikes do not move, over that time.
 */
export function growthOf(points: readonly Point[]): number {
  const warm = warmOf(points);
  const slopes: number[] = [];
  for (const [i, a] of warm.entries()) {
    for (const b of warm.slice(i + 1)) slopes.push((b.value - a.value) / (b.at - a.at));
  }
  return median(slopes) * ((warm.at(-1)?.at ?? 0) - (warm[0]?.at ?? 0));
}

export function isFlat(points: readonly Point[], { share, slack }: Tolerance): boolean {
  return growthOf(points) <= share * median(warmOf(points).map(({ value }) => value)) + slack;
}

function warmOf(points: readonly Point[]): readonly Point[] {
  return points.slice(Math.floor(points.length * warmUp));
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
