import type { Clock } from '../../base/clock.ts';
import { limits } from '../../base/limits.ts';
import { type Instant, earlier, instantNow, isOver, leftMs, validFor } from '../../base/validity.ts';
import type { LeaseView, TakenLease } from './lease-table.ts';

/**
 * One batch of renewals: the key of each lease, its owner and its ttl in ms. For each lease 1 if it was renewed, 0 if it
 * is lost, -1 if that is not known and is to be tried again.
 */
export type Renew = (
  keys: readonly string[],
  args: readonly string[],
) => readonly number[] | Promise<readonly number[]>;

/**
 * Which leases are renewed, when, and what their replies mean; wherever that runs.
 *
 * - What is over stays over: neither a late reply nor a late renewal makes a lease valid again.
 * - A renewal that failed is tried again until the lease is over; only the store's word makes it lost.
 * - A holder whose event loop does not turn is renewed for `stallMs`, and again when it turns before its lease is over.
 */
export class Renewals {
  readonly #view: LeaseView;
  readonly #clock: Clock;
  readonly #renew: Renew;
  readonly #lost: (handle: number) => void;

  constructor(view: LeaseView, clock: Clock, renew: Renew, lost: (handle: number) => void) {
    this.#view = view;
    this.#clock = clock;
    this.#renew = renew;
    this.#lost = lost;
  }

  /** Renews all that is due. In how many ms the next lease will be. Never rejects. */
  async turn(): Promise<number> {
    for (;;) {
      const now = instantNow(this.#clock);
      const { due, nextMs } = this.#view.takeDue(now.monotonicMs, limits.renewBatchMax);
      if (due.length === 0 || this.#view.closed) return nextMs;
      const batch = due.filter((lease) => this.#mayRenew(lease, now));
      if (batch.length > 0) await this.#send(batch, now);
    }
  }

  #mayRenew(lease: TakenLease, now: Instant): boolean {
    if (isOver(lease.until, now) || isOver(lease.end, now)) {
      this.#view.end(lease.handle, now.monotonicMs);
      return false;
    }
    if (this.#view.stalledMs(now.monotonicMs) <= lease.stallMs) return true;
    this.#view.postpone(lease.handle, now.monotonicMs + againMs(lease));
    return false;
  }

  async #send(batch: readonly TakenLease[], sent: Instant): Promise<void> {
    const ttls = batch.map((lease) => Math.min(lease.ttlMs, Math.max(1, Math.ceil(leftMs(lease.end, sent)))));
    const keys = batch.map((lease) => lease.key);
    const args = batch.flatMap((lease, i) => [lease.owner, String(ttls[i])]);
    const replies = await this.#ask(keys, args);
    const now = instantNow(this.#clock);
    for (const [i, lease] of batch.entries()) {
      if (replies === undefined || replies[i] === -1)
        this.#view.postpone(lease.handle, now.monotonicMs + againMs(lease));
      else if (replies[i] === 1 && !isOver(lease.until, now)) {
        const until = earlier(validFor(sent, ttls[i]!), lease.end);
        this.#view.confirm(lease.handle, until, now.monotonicMs + lease.ttlMs / 3);
      } else if (this.#view.end(lease.handle, now.monotonicMs) && replies[i] !== 1) this.#lost(lease.handle);
    }
  }

  async #ask(keys: readonly string[], args: readonly string[]): Promise<readonly number[] | undefined> {
    try {
      return await this.#renew(keys, args);
    } catch {
      return undefined; // the store is busy or away: there is time for some more tries
    }
  }
}

/** The pause before another try of a renewal that failed: some tries fit in what is left of the lease. */
function againMs(lease: TakenLease): number {
  return Math.max(lease.ttlMs / 12, 5);
}
