/** Waits for `all`, for `ms` at most. */
export async function inTime(all: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([all, new Promise((late) => (timer = setTimeout(late, ms)))]);
  clearTimeout(timer);
}
