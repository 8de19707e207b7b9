import type { Clock, Timer } from '../base/clock.ts';
import { limits } from '../base/limits.ts';
import { type Instant, earlier, instantNow, isOver, later, leftMs, validFor } from '../base/validity.ts';
import type { Keeper, KeeperOptions } from './engine.ts';

export interface Renewal extends KeeperOptions {
  clock: Clock;
  /** One run of `lock.renew`: keys are owners' keys; args the owner and the ttl of each. 1 each that was renewed. */
  renew(keys: readonly string[], args: readonly string[]): Promise<readonly number[]>;
}

interface Kept {
  readonly handle: number;
  readonly key: string;
  readonly owner: string;
  readonly ttlMs: number;
  /** The end of the whole hold. */
  readonly end: Instant;
  until: Instant;
  /** Monotonic ms. */
  due: number;
  line: Line;
}

/** Leases that all wait equally long: who came first is due first, so that nothing is ever sorted or searched. */
interface Line {
  readonly delayMs: number;
  readonly kept: Map<number, Kept>;
}

/**
 * The keeper of every engine: one timer, whatever the number of leases, and one batch for all that are due.
 * Where it runs (the session's thread, or a thread beside it) is the engine's business.
 *
 * - What is over stays over: neither a late reply nor a late renewal makes a lease valid again.
 * - A renewal that failed is tried again until the lease is over; only the store's word makes it lost.
 */
export function keeperOf(renewal: Renewal): Keeper {
  const { clock } = renewal;
  const all = new Map<number, Kept>();
  const lines = new Map<number, Line>();
  let nextHandle = 1;
  let beatMs = clock.monotonicMs();
  let timer: { due: number; timer: Timer } | undefined;
  let closed = false;

  /** Puts a lease at the end of the line of those that are due after `delayMs`. */
  function queue(kept: Kept, delayMs: number): void {
    let line = lines.get(delayMs);
    if (line === undefined) lines.set(delayMs, (line = { delayMs, kept: new Map() }));
    kept.line = line;
    kept.due = clock.monotonicMs() + delayMs;
    line.kept.set(kept.handle, kept);
    arm(kept.due);
  }

  function arm(due: number): void {
    if (closed || (timer !== undefined && timer.due <= due)) return;
    timer?.timer.cancel();
    timer = { due, timer: clock.timer(due - clock.monotonicMs(), turn) };
  }

  function turn(): void {
    timer = undefined;
    const due = takeDue(lines, clock.monotonicMs()).filter(mayRenew);
    for (let from = 0; from < due.length; from += limits.renewBatchMax) {
      send(due.slice(from, from + limits.renewBatchMax));
    }
    for (const line of lines.values()) {
      const [first] = line.kept.values();
      if (first === undefined) lines.delete(line.delayMs);
      else arm(first.due);
    }
  }

  function mayRenew(kept: Kept): boolean {
    const now = instantNow(clock);
    if (isOver(kept.until, now) || isOver(kept.end, now)) return false;
    const stallMs = renewal.maxStallMs === 0 ? limits.stallLeases * kept.ttlMs : renewal.maxStallMs;
    if (now.monotonicMs - beatMs <= stallMs) return true;
    queue(kept, againMs(kept));
    return false;
  }

  function send(batch: readonly Kept[]): void {
    const sent = instantNow(clock);
    const ttls = batch.map((kept) => Math.min(kept.ttlMs, Math.max(1, Math.ceil(leftMs(kept.end, sent)))));
    renewal
      .renew(
        batch.map((kept) => kept.key),
        batch.flatMap((kept, i) => [kept.owner, String(ttls[i])]),
      )
      .then(
        (replies) => batch.forEach((kept, i) => answered(kept, replies[i] === 1, validFor(sent, ttls[i]!))),
        () => batch.filter(isKept).forEach((kept) => queue(kept, againMs(kept))),
      );
  }

  /** False for what was dropped while its renewal was under way. */
  function isKept(kept: Kept): boolean {
    return all.get(kept.handle) === kept;
  }

  function answered(kept: Kept, ours: boolean, until: Instant): void {
    if (!isKept(kept)) return;
    if (ours) renewed(kept, until);
    else renewal.lost(kept.handle);
  }

  function renewed(kept: Kept, until: Instant): void {
    if (isOver(kept.until, instantNow(clock))) return;
    kept.until = earlier(until, kept.end);
    queue(kept, thirdMs(kept));
  }

  return {
    keep({ key, owner, ttlMs, until, maxHoldMs }) {
      const now = instantNow(clock);
      const end = maxHoldMs > 0 ? later(now, maxHoldMs) : forEver;
      const kept: Kept = {
        handle: nextHandle++,
        key,
        owner,
        ttlMs,
        end,
        until: earlier(until, end),
        due: 0,
        line: noLine,
      };
      all.set(kept.handle, kept);
      queue(kept, leftMs(until, now) > ttlMs / 2 ? thirdMs(kept) : 0); // a grant that was pushed may be old already
      return kept.handle;
    },
    validUntil: (handle) => all.get(handle)?.until ?? longAgo,
    drop(handle) {
      all.get(handle)?.line.kept.delete(handle);
      all.delete(handle);
    },
    beat() {
      beatMs = clock.monotonicMs();
    },
    async close() {
      closed = true;
      timer?.timer.cancel();
      all.clear();
      lines.clear();
    },
  };
}

const noLine: Line = { delayMs: 0, kept: new Map() };
const forEver: Instant = { monotonicMs: Infinity, wallMs: Infinity };
const longAgo: Instant = { monotonicMs: 0, wallMs: 0 };

/** Takes out of the lines what is due. */
function takeDue(lines: ReadonlyMap<number, Line>, nowMs: number): Kept[] {
  const due: Kept[] = [];
  for (const line of lines.values()) {
    for (const kept of line.kept.values()) {
      if (kept.due > nowMs) break;
      line.kept.delete(kept.handle);
      due.push(kept);
    }
  }
  return due;
}

function thirdMs(kept: Kept): number {
  return kept.ttlMs / 3;
}

/** The pause before another try of a renewal that failed: some tries fit in what is left of the lease. */
function againMs(kept: Kept): number {
  return Math.max(kept.ttlMs / 12, 5);
}
