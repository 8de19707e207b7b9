/**
 * Ranges as JavaScript's `slice` has them: `stop` is not in it, and negative numbers count from the end.
 */

/** The first index of a range over `size` elements. */
export function rangeFrom(size: number, start: number): number {
  return start < 0 ? Math.max(0, size + start) : start;
}

/** The last index of it; less than the first where there is nothing. */
export function rangeTo(size: number, stop: number): number {
  return Math.min(size, stop < 0 ? size + stop : stop) - 1;
}
