import type { Timer } from '../base/clock.ts';
import { LockstepError, isLockstepError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Wait } from '../base/waiting.ts';
import type { Hold, Loss } from '../session/leases.ts';
import type { QuorumSession } from '../session/quorum-session.ts';
import { closedError } from '../session/session.ts';
import type { LockName } from './lock-lines.ts';
import { lossText } from './loss-text.ts';
import { HeldQuorumLease, type QuorumLeaseSource } from './quorum-lease.ts';
import { giveBack, holdRound, type VoteHolder, type WonRound } from './quorum-round.ts';

/** One task that waits for the lock. */
export interface QuorumWaiter {
  /** What the task calls the lock: two names may have one key. */
  readonly name: string;
  readonly ttlMs: number;
  /** 0: no bound. */
  readonly maxHoldMs: number;
  /** Tries once. */
  readonly once: boolean;
  readonly wait?: Wait | undefined;
  grant(lease: HeldQuorumLease): void;
  fail(error: Error): void;
  /** The lock is not free, and the waiter tries only once. */
  refuse(): void;
}

/**
 * The tasks of one session before one lock, first come, first served; the first one asks. Between sessions there is no
 * order: each asks in rounds with random pauses, so that not all share the votes again and again. A session that has
 * had the lock for some time leaves a pause to the others.
 */
export class QuorumLine implements QuorumLeaseSource {
  /** Who had the votes when it was last asked. */
  holder: VoteHolder | undefined;
  /** The task that holds the lock now. */
  lease: HeldQuorumLease | undefined;
  readonly #session: QuorumSession;
  readonly #where: LockName;
  readonly #idle: (line: QuorumLine) => void;
  readonly #waiters: QuorumWaiter[] = [];
  #hold: Hold | undefined;
  #asking = false;
  #pause: { readonly timer: Timer; end(): void } | undefined;
  /** Since when this session has the lock again and again, and when it gave it back last: monotonic ms. */
  #turnSince = 0;
  #freedAt = Number.NEGATIVE_INFINITY;
  /** Whether another session was refused lately, as the servers said when they gave their votes. */
  #isWanted = false;

  constructor(session: QuorumSession, where: LockName, idle: (line: QuorumLine) => void) {
    this.#idle = idle;
    this.#session = session;
    this.#where = where;
  }

  /** True when nothing is held, asked for or waited for. */
  get idle(): boolean {
    return this.#hold === undefined && !this.#asking && this.#waiters.length === 0;
  }

  join(waiter: QuorumWaiter): void {
    if (waiter.once && (this.#hold !== undefined || this.#waiters.length > 0)) {
      waiter.wait?.end();
      waiter.refuse();
      return;
    }
    this.#session.enter();
    this.#waiters.push(waiter);
    this.#advance();
  }

  /** Takes a waiter out of the line. True if it was still waiting; it will then not own the lock. */
  cancel(waiter: QuorumWaiter): boolean {
    const place = this.#waiters.indexOf(waiter);
    if (place === -1) return false;
    this.#waiters.splice(place, 1);
    this.#dismiss(waiter);
    if (place === 0) this.#pause?.end();
    return true;
  }

  leftMs(lease: HeldQuorumLease): number {
    return this.#hold !== undefined && this.lease === lease ? this.#session.leases.leftMs(this.#hold) : 0;
  }

  release(lease: HeldQuorumLease): Promise<void> {
    if (this.lease !== lease) return Promise.resolve();
    return this.#giveBack(this.leftMs(lease));
  }

  async close(): Promise<void> {
    for (const waiter of this.#waiters.splice(0)) {
      this.#dismiss(waiter);
      waiter.fail(closedError(`waiting for lock ${JSON.stringify(waiter.name)}`));
    }
    this.#pause?.end();
    const lease = this.lease;
    if (lease === undefined) return;
    const leftMs = this.leftMs(lease);
    lease.lose(lossOf(lease, { cause: 'closed', lagMs: 0, confirmedUntil: 0 }));
    await this.#giveBack(leftMs);
  }

  #advance(): void {
    if (this.idle) this.#idle(this);
    if (this.#asking || this.#hold !== undefined || this.#waiters.length === 0) return;
    this.#asking = true;
    this.#session.inBackground(this.#ask());
  }

  /** Asks for one waiter after the other, until one has the lock or nobody waits. */
  async #ask(): Promise<void> {
    for (let first = this.#waiters[0]; first !== undefined; first = this.#waiters[0]) {
      try {
        if (await this.#askFor(first)) break;
      } catch (error) {
        this.#settle(first, () => first.fail(error as Error));
      }
    }
    this.#asking = false;
    this.#advance(); // for who came in between
  }

  /** Whether it has the lock now. */
  async #askFor(waiter: QuorumWaiter): Promise<boolean> {
    const { clock } = this.#session;
    const { name, ttlMs } = waiter;
    let heardAt = Number.NEGATIVE_INFINITY;
    if (!waiter.once) await this.#leaveTurn(waiter);
    for (let pauseMs: number = limits.quorumPauseMsMin; this.#waiters[0] === waiter;) {
      const round = await holdRound(this.#session, { name, ttlMs, again: !waiter.once }, this.#where.keys);
      if (round.is === 'won') return this.#won(waiter, round);
      if (round.is === 'lost') {
        this.holder = round.holder ?? this.holder;
        this.#turnSince = Number.POSITIVE_INFINITY;
        heardAt = clock.monotonicMs();
        if (waiter.once) this.#settle(waiter, () => waiter.refuse());
      } else {
        // A majority that was there may come back; one that never was is not waited for.
        const isPassing = isLockstepError(round.error, 'UNAVAILABLE') && !waiter.once;
        if (!isPassing || clock.monotonicMs() - heardAt > ttlMs) this.#settle(waiter, () => waiter.fail(round.error));
      }
      await this.#sleep(waiter, clock.random() * pauseMs);
      pauseMs = Math.min(limits.quorumPauseMsMax, 2 * pauseMs);
    }
    return false;
  }

  #won(waiter: QuorumWaiter, { owner, until, isWanted }: WonRound): boolean {
    this.#isWanted = isWanted;
    const { leases, clock } = this.#session;
    if (this.#waiters[0] !== waiter) {
      // Given up meanwhile.
      this.#session.inBackground(giveBack(this.#session, this.#where.keys, owner, waiter.ttlMs));
      return false;
    }
    const { ttlMs, maxHoldMs } = waiter;
    const hold = leases.keep(this.#where.keys.owner, owner, ttlMs, until, maxHoldMs, (loss) => this.#lost(hold, loss));
    const lease = new HeldQuorumLease(this, waiter.name);
    const now = clock.monotonicMs();
    if (!(now - this.#freedAt < limits.quorumPauseMsMax && this.#turnSince < now)) this.#turnSince = now;
    this.#hold = hold;
    this.lease = lease;
    this.#waiters.shift();
    waiter.wait?.end();
    waiter.grant(lease);
    return true;
  }

  /**
   * A session that has had the lock for a while steps back for as long as others pause between two rounds, where others
   * want it; whether other libraries do is not known.
   */
  async #leaveTurn(waiter: QuorumWaiter): Promise<void> {
    if (!this.#isWanted && !this.#where.keys.shared) return;
    const { clock } = this.#session;
    const now = clock.monotonicMs();
    const isTurnOver = now - this.#turnSince > limits.quorumPauseMsMax;
    if (!isTurnOver || now - this.#freedAt > limits.quorumPauseMsMax) return;
    this.#turnSince = Number.POSITIVE_INFINITY;
    await this.#sleep(waiter, limits.quorumPauseMsMax * (1 + clock.random() / 2));
  }

  /** As long as the waiter stands first. */
  async #sleep(waiter: QuorumWaiter, ms: number): Promise<void> {
    if (this.#waiters[0] !== waiter) return;
    await new Promise<void>((resolve) => {
      const timer = this.#session.clock.timer(ms, resolve);
      const end = (): void => {
        timer.cancel();
        resolve();
      };
      this.#pause = { timer, end };
    });
    this.#pause = undefined;
  }

  #giveBack(forMs: number): Promise<void> {
    const hold = this.#hold;
    if (hold === undefined) return Promise.resolve();
    this.#session.leases.drop(hold);
    this.#end();
    const given = giveBack(this.#session, this.#where.keys, hold.owner, forMs);
    this.#advance();
    return given;
  }

  #lost(hold: Hold, loss: Loss): void {
    const lease = this.lease;
    if (this.#hold !== hold || lease === undefined) return;
    this.#end();
    lease.lose(lossOf(lease, loss));
    // Once: some servers may still have it.
    this.#session.inBackground(giveBack(this.#session, this.#where.keys, hold.owner, 0));
    this.#advance();
  }

  #end(): void {
    this.#hold = undefined;
    this.lease = undefined;
    this.#freedAt = this.#session.clock.monotonicMs();
    this.#session.exit();
  }

  /** Ends a wait without the lock, unless it ended before. */
  #settle(waiter: QuorumWaiter, how: () => void): void {
    if (this.cancel(waiter)) how();
  }

  #dismiss(waiter: QuorumWaiter): void {
    waiter.wait?.end();
    this.#session.exit();
  }
}

function lossOf(lease: HeldQuorumLease, loss: Loss): LockstepError {
  return new LockstepError('LEASE_LOST', lossText(`the lease of lock ${JSON.stringify(lease.lock)}`, loss), {
    details: { lock: lease.lock, ...loss },
  });
}
