/** The same clock in all processes: ms. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
