import type { Timer } from '../base/clock.ts';
import { limits } from '../base/limits.ts';
import { instantNow, isOver, leftMs } from '../base/validity.ts';
import type { Engine, Instant, Keeper } from '../engines/engine.ts';

/** Why a lease ended before its holder gave it back. */
export type LossCause =
  /** The store says that somebody else has it, or nobody. */
  | 'lost'
  /** It could not be confirmed before its time was over. */
  | 'expired'
  /** It was held for as long as its `maxHold` allows. */
  | 'maxHold'
  /** Somebody took it by force. */
  | 'forced'
  /** This session was closed. */
  | 'closed';

export interface Loss {
  readonly cause: LossCause;
  /** How late the event loop ran when it was noticed: ms. */
  readonly lagMs: number;
  /** Until when it had been confirmed: ms since 1970. */
  readonly confirmedUntil: number;
}

/** Something held in the store under a lease. */
export interface Hold {
  readonly key: string;
  readonly owner: string;
  ttlMs: number;
  /** 0: no bound. */
  maxHoldMs: number;
  /** When the bound is reached: monotonic ms. */
  endMs: number;
  handle: number;
  /** Called once, when it is lost and not dropped before. */
  lost: (loss: Loss) => void;
}

/**
 * The leases of one session. The engine's keeper renews them; here they are watched: `expired` is found by the
 * holder's own timer, never by waiting for the store.
 */
export class Leases {
  readonly #engine: Pick<Engine, 'clock' | 'keeper'>;
  readonly #maxStallMs: number;
  /**
   * By the slot of the handle. No Map: with each few leases that come and go it makes a new table, the old one points to it, and
   * the garbage collector takes what came behind an old one for alive.
   */
  readonly #held: (Hold | undefined)[] = [];
  #keeper: Keeper | undefined;
  #timer: Timer | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(engine: Pick<Engine, 'clock' | 'keeper'>, maxStallMs: number) {
    this.#engine = engine;
    this.#maxStallMs = maxStallMs;
  }

  keep(key: string, owner: string, ttlMs: number, until: Instant, maxHoldMs: number, lost: Hold['lost']): Hold {
    const hold: Hold = { key, owner, ttlMs, maxHoldMs, endMs: 0, handle: 0, lost };
    this.#begin(hold, until);
    return hold;
  }

  /** Goes on with another length or another cap, for the next task of a hand-over inside the session. */
  keepOn(hold: Hold, ttlMs: number, maxHoldMs: number): void {
    const until = this.validUntil(hold);
    this.drop(hold);
    hold.ttlMs = ttlMs;
    hold.maxHoldMs = maxHoldMs;
    this.#begin(hold, until);
  }

  drop(hold: Hold): void {
    const { handle } = hold;
    if (this.#at(handle) === undefined) return;
    this.#held[slotOf(handle)] = undefined;
    while (this.#held.length > 0 && this.#held.at(-1) === undefined) this.#held.pop();
    this.#keeper?.drop(handle);
  }

  /** Calls its `lost`. */
  end(hold: Hold, cause: LossCause): void {
    this.#end(hold.handle, cause, 0);
  }

  validUntil(hold: Hold): Instant {
    return this.#keeper?.validUntil(hold.handle) ?? { monotonicMs: 0, wallMs: 0 };
  }

  /** ms; 0 when it is over. */
  leftMs(hold: Hold): number {
    if (this.#at(hold.handle) === undefined) return 0;
    return Math.max(0, leftMs(this.validUntil(hold), instantNow(this.#engine.clock)));
  }

  /** Asks the store about all leases, as it may have forgotten some: those are lost at once, not at their next renewal. */
  async verify(renew: (keys: readonly string[], args: readonly string[]) => Promise<readonly number[]>): Promise<void> {
    const all = this.#held.flatMap((hold) => hold ?? []);
    const nowMs = this.#engine.clock.monotonicMs();
    for (let from = 0; from < all.length; from += limits.renewBatchMax) {
      const some = all.slice(from, from + limits.renewBatchMax);
      const replies = await renew(
        some.map(({ key }) => key),
        some.flatMap(({ owner, ttlMs, endMs }) => [
          owner,
          String(Math.max(1, Math.ceil(Math.min(ttlMs, endMs - nowMs)))),
        ]),
      );
      for (const [i, { handle }] of some.entries()) if (replies[i] === 0) this.#end(handle, 'lost', 0);
    }
  }

  async close(): Promise<void> {
    this.#timer?.cancel();
    this.#held.length = 0;
    await this.#keeper?.close();
  }

  #begin(hold: Hold, until: Instant): void {
    this.#keeper ??= this.#engine.keeper({
      maxStallMs: this.#maxStallMs,
      lost: (handle) => this.#end(handle, 'lost', 0),
    });
    const { key, owner, ttlMs, maxHoldMs } = hold;
    const nowMs = this.#engine.clock.monotonicMs();
    hold.endMs = maxHoldMs === 0 ? Number.POSITIVE_INFINITY : nowMs + maxHoldMs;
    hold.handle = this.#keeper.keep({ key, owner, ttlMs, until, maxHoldMs });
    this.#held[slotOf(hold.handle)] = hold;
    const lookAt = Math.min(until.monotonicMs, hold.endMs, nowMs + beatMs(ttlMs));
    if (lookAt < this.#timerAt) this.#lookAt(lookAt);
  }

  #at(handle: number): Hold | undefined {
    const hold = this.#held[slotOf(handle)];
    return hold?.handle === handle ? hold : undefined;
  }

  /** Calls `lost` of a hold that is not dropped yet. */
  #end(handle: number, cause: LossCause, lagMs: number): void {
    const hold = this.#at(handle);
    if (hold === undefined) return;
    const confirmedUntil = this.validUntil(hold).wallMs;
    this.drop(hold);
    hold.lost({ cause, lagMs, confirmedUntil });
  }

  #lookAt(monotonicMs: number): void {
    this.#timer?.cancel();
    this.#timerAt = monotonicMs;
    const now = this.#engine.clock.monotonicMs();
    this.#timer = this.#engine.clock.timer(Math.max(1, Math.ceil(monotonicMs - now)), () => this.#look());
  }

  #look(): void {
    const now = instantNow(this.#engine.clock);
    const lagMs = Math.max(0, Math.round(now.monotonicMs - this.#timerAt));
    this.#timerAt = Number.POSITIVE_INFINITY;
    this.#keeper?.beat();
    let next = Number.POSITIVE_INFINITY;
    for (let slot = 0; slot < this.#held.length; slot++) {
      const hold = this.#held[slot];
      if (hold === undefined) continue;
      const until = this.validUntil(hold);
      if (isOver(until, now)) this.#end(hold.handle, isAtItsEnd(hold, now) ? 'maxHold' : 'expired', lagMs);
      else next = Math.min(next, now.monotonicMs + Math.min(leftMs(until, now), beatMs(hold.ttlMs)));
    }
    if (next < this.#timerAt) this.#lookAt(next);
  }
}

function slotOf(handle: number): number {
  return handle % limits.leaseSlotsMax;
}

function isAtItsEnd(hold: Hold, now: Instant): boolean {
  return hold.endMs - now.monotonicMs < limits.clockGrainMs;
}

/** How often the keeper hears that this event loop turns. */
function beatMs(ttlMs: number): number {
  return Math.min(1_000, Math.max(10, ttlMs / 3));
}
