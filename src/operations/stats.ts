/**
 * Statistics of values in windows of time: an hour, a day, 100 ms.
 *
 *   stats   hash, PX  `windows`  their length or kind, with or without quantiles: the same for all who use the name
 *                     `open`     START:END:KEEP of the window that is open, in ms since 1970, and for how many ms a
 *                                window is kept behind its end; START = END where it was seen to be over
 *   window  hash, PX  one window: `count`, `sum`, `min`, `max`; `pivot`: a value of the window, `offsets` and `squares`:
 *                     the sum of the differences from it, and of their squares; with quantiles `bucket:N`: how many
 *                     values lie in bucket N of the sketch
 *
 * - The step that counts chooses the window by the store's clock. Time does not run backwards: what is earlier than the
 *   open window, or than when it was seen to be over, is taken for that. So a window that is over never counts again.
 * - A window's key has its START in it, and keys are named by the caller: who asks names some windows around now, and
 *   asks again where it is none of them.
 * - A window gets its end of life once, when the first value comes. That of `stats` is the open window's.
 * - Sums are those of doubles, added in the step: no client writes what it read before.
 */
import { guarded } from './guard.ts';
import type { BatchOperation, Operation, Tx } from './tx.ts';

/**
 * Adds values that the caller summed up. keys: stats, guard, the windows; args: owner, windows, KEEP, count, sum, min,
 * max, pivot, offsets, squares, how many windows; START and END of each; buckets with how many values each.
 *
 * ['ok' or 'elsewhere', now, START, END of the window that is open (0, 0: none)]; 'elsewhere': it was not named, nothing
 * was added. ['other', windows]: the name has others. ['full']: the count would not be exact. ['lost']: see guard.ts.
 */
export const record: BatchOperation<readonly (string | number)[]> = {
  name: 'stats.record',
  batch: true,
  step(tx, keys, args) {
    if (!guarded(tx, keys[1]!, args[0]!)) return ['lost'];
    const windows = tx.hget(keys[0]!, 'windows');
    if (windows !== undefined && windows !== args[1]) return ['other', windows];
    return recordIn(tx, keys, args, tx.hget(keys[0]!, 'open') ?? '');
  },
};

export interface StatsKeys {
  stats: string;
}

/**
 * Now, START and END of the window that is open (0, 0: none), and `windows` ('': none). A window that is over is so from
 * now on: it is final for who looked.
 */
export const look: Operation<StatsKeys, Record<never, never>, readonly (string | number)[]> = {
  name: 'stats.look',
  keys: ['stats'],
  args: {},
  step(tx, keys) {
    const nowMs = Math.floor(tx.nowUs() / 1_000);
    const windows = tx.hget(keys.stats, 'windows');
    if (windows === undefined) return [nowMs, 0, 0, ''];
    const open = tx.hget(keys.stats, 'open') ?? '';
    const start = part(tx, open, 0);
    const over = part(tx, open, 1);
    if (Math.max(nowMs, start) < over || start === over) return [nowMs, start, over, windows];
    const now = tx.text(nowMs);
    tx.hset(keys.stats, 'open', now + ':' + now + ':' + tx.part(open, 2));
    return [nowMs, nowMs, nowMs, windows];
  },
};

/** keys: windows. Of each: how many texts follow, then its fields and values. */
export const read: BatchOperation<readonly (string | number)[]> = {
  name: 'stats.read',
  batch: true,
  readOnly: true,
  step(tx, keys) {
    const found: (string | number)[] = [];
    for (let i = 0; i < keys.length; i++) {
      const fields = tx.hgetall(keys[i]!);
      found.push(fields.length);
      for (const text of fields) found.push(text);
    }
    return found;
  },
};

function recordIn(tx: Tx, keys: readonly string[], args: readonly string[], open: string): (string | number)[] {
  const windowsAt = 11;
  const nowMs = Math.floor(tx.nowUs() / 1_000);
  const start = part(tx, open, 0);
  const timeMs = Math.max(nowMs, start);
  const isOpen = timeMs < part(tx, open, 1);
  const place = placeOf(tx, args, windowsAt, isOpen, isOpen ? start : timeMs);
  if (place === -1) return ['elsewhere', nowMs, start, part(tx, open, 1)];
  const window = keys[2 + place]!;
  const count = tx.integer(tx.hget(window, 'count') ?? '0') ?? 0;
  if (count + argument(tx, args, 3) > Number.MAX_SAFE_INTEGER) return ['full'];

  const from = argument(tx, args, windowsAt + place * 2);
  const over = isOpen ? part(tx, open, 1) : argument(tx, args, windowsAt + place * 2 + 1);
  const keepMs = Math.max(part(tx, open, 2), argument(tx, args, 2));
  if (!isOpen || keepMs > part(tx, open, 2)) {
    tx.hset(keys[0]!, 'windows', args[1]!);
    tx.hset(keys[0]!, 'open', tx.text(from) + ':' + tx.text(over) + ':' + tx.text(keepMs));
    tx.pexpire(keys[0]!, over - nowMs + keepMs);
  }
  addTo(tx, window, args, count);
  countBuckets(tx, window, args, windowsAt);
  if (count === 0) tx.pexpire(window, over - nowMs + keepMs);
  return ['ok', nowMs, from, over];
}

/** Which of the windows that the caller named is meant: the open one, by its START, or the one of this time. -1: none. */
function placeOf(tx: Tx, args: readonly string[], windowsAt: number, isOpen: boolean, timeMs: number): number {
  const many = argument(tx, args, windowsAt - 1);
  for (let i = 0; i < many; i++) {
    const from = argument(tx, args, windowsAt + i * 2);
    if (from === timeMs) return i;
    if (!isOpen && from < timeMs && timeMs < argument(tx, args, windowsAt + i * 2 + 1)) return i;
  }
  return -1;
}

/** Differences from one pivot become those from another: x - p = (x - q) + (q - p). */
function addTo(tx: Tx, window: string, args: readonly string[], before: number): void {
  const count = argument(tx, args, 3);
  const pivot = before === 0 ? number(tx, args, 7) : fraction(tx, window, 'pivot');
  const shift = number(tx, args, 7) - pivot;
  const offsets = number(tx, args, 8);
  const squares = number(tx, args, 9) + 2 * shift * offsets + count * shift * shift;
  tx.hset(window, 'count', tx.text(before + count));
  add(tx, window, 'sum', number(tx, args, 4));
  if (before === 0) tx.hset(window, 'pivot', tx.decimal(pivot));
  add(tx, window, 'offsets', offsets + count * shift);
  add(tx, window, 'squares', squares);
  if (before === 0 || number(tx, args, 5) < fraction(tx, window, 'min')) {
    tx.hset(window, 'min', tx.decimal(number(tx, args, 5)));
  }
  if (before === 0 || number(tx, args, 6) > fraction(tx, window, 'max')) {
    tx.hset(window, 'max', tx.decimal(number(tx, args, 6)));
  }
}

function countBuckets(tx: Tx, window: string, args: readonly string[], windowsAt: number): void {
  const first = windowsAt + argument(tx, args, windowsAt - 1) * 2;
  for (let i = first; i + 1 < args.length; i += 2) {
    const before = tx.integer(tx.hget(window, 'bucket:' + args[i]!) ?? '0') ?? 0;
    tx.hset(window, 'bucket:' + args[i]!, tx.text(before + argument(tx, args, i + 1)));
  }
}

function add(tx: Tx, window: string, field: string, by: number): void {
  tx.hset(window, field, tx.decimal(fraction(tx, window, field) + by));
}

function fraction(tx: Tx, window: string, field: string): number {
  return tx.number(tx.hget(window, field) ?? '0');
}

function part(tx: Tx, open: string, index: number): number {
  return tx.integer(tx.part(open, index)) ?? 0;
}

function argument(tx: Tx, args: readonly string[], place: number): number {
  return tx.integer(args[place] ?? '') ?? 0;
}

function number(tx: Tx, args: readonly string[], place: number): number {
  return tx.number(args[place] ?? '0');
}
