/** The next number above or below, so that an end that is not in a range is one that is. Of infinity: infinity. */
export function neighbour(number: number, direction: 1 | -1): number {
  if (!Number.isFinite(number)) return number;
  if (number === 0) return direction * Number.MIN_VALUE;
  const bytes = new DataView(new ArrayBuffer(8));
  bytes.setFloat64(0, number);
  // The bits of a number grow with its size, whatever its sign.
  bytes.setBigInt64(0, bytes.getBigInt64(0) + BigInt(number > 0 ? direction : -direction));
  return bytes.getFloat64(0) + 0;
}
