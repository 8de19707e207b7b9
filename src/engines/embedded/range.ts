/** The first and last index that Redis's LRANGE and ZRANGE mean; undefined for none. */
export function rangeOf(size: number, from: number, to: number): [number, number] | undefined {
  const first = from < 0 ? Math.max(0, size + from) : from;
  const last = Math.min(size - 1, to < 0 ? size + to : to);
  return first <= last ? [first, last] : undefined;
}
