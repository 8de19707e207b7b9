import type { Timer } from '../base/clock.ts';
import { LockstepError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { LockNames } from '../base/names.ts';
import { instantNow, leftMs as msUntil, validFor } from '../base/validity.ts';
import type { Wait } from '../base/waiting.ts';
import type { Instant } from '../engines/engine.ts';
import * as operations from '../operations/lock.ts';
import type { Hold, Loss } from '../session/leases.ts';
import type { Receiver, Session } from '../session/session.ts';
import type { CallSite } from './call-site.ts';
import { HeldLease, type LeaseSource } from './lease.ts';
import type { LockName } from './lock-lines.ts';
import { parseOwner, tokenOf } from './owner.ts';

/** On what terms a lease is held. */
export interface LeaseTerms {
  readonly ttlMs: number;
  /** 0: no bound. */
  readonly maxHoldMs: number;
}

/** One task that waits for the lock. */
export interface Waiter extends LeaseTerms {
  readonly site: CallSite | undefined;
  /** 0: tries once. */
  readonly once: boolean;
  grant(lease: HeldLease): void;
  fail(error: Error): void;
  /** The lock is not free, and the waiter tries only once. */
  refuse(): void;
  wait?: Wait | undefined;
  settled: boolean;
}

/** Who is in the way, as the store last said. */
export interface Blocker {
  readonly owner: string;
  readonly card: string;
}

/** What this session asked the store for: one place in the store's queue for all its tasks. */
interface Ask {
  readonly token: string;
  readonly once: boolean;
  sentAt: Instant;
  recheck: Timer | undefined;
  /** Whose end is watched for: directly ahead in the line. */
  ahead: string;
  unwatch: (() => void) | undefined;
  /** The store has it in its queue. */
  queued: boolean;
  /** Since when the store does not answer: monotonic ms. */
  silentSince: number;
  attempts: number;
}

/**
 * The tasks of one session before one lock, first come, first served.
 *
 * The session stands in the store's queue once, for all of them. When the store grants it the lock, the first task
 * gets a lease; on release the next task may get the lock without a round trip, as long as no other session has to
 * wait for that (SEMANTICS 5: at most `handOversInARow`, and none once somebody waited `handOverWaitMsMax`).
 */
export class LockLine implements Receiver, LeaseSource {
  readonly name: string;
  readonly keys: LockNames;
  readonly session: Session;
  blocker: Blocker | undefined;
  /** The task that holds the lock now. */
  lease: HeldLease | undefined;
  readonly #idle: (line: LockLine) => void;
  #waiters: Waiter[] = [];
  #ask: Ask | undefined;
  #hold: Hold | undefined;
  #inARow = 0;
  /** Since when another session waits: monotonic ms. */
  #wantedSince = Number.POSITIVE_INFINITY;

  constructor(session: Session, where: LockName, idle: (line: LockLine) => void) {
    this.session = session;
    this.name = where.name;
    this.keys = where.keys;
    this.#idle = idle;
  }

  /** True when nothing is held, asked for or waited for. */
  get idle(): boolean {
    return this.#hold === undefined && this.#ask === undefined && this.#waiters.length === 0;
  }

  /** Tasks of this session that wait. */
  get waiting(): number {
    return this.#waiters.length;
  }

  join(waiter: Waiter): void {
    if (waiter.once && !this.idle) {
      waiter.settled = true;
      waiter.refuse();
      return;
    }
    this.session.enter();
    this.#waiters.push(waiter);
    this.#advance();
  }

  /** Takes a waiter out of the line. True if it was still waiting; it is then certain that it does not own the lock. */
  cancel(waiter: Waiter): boolean {
    const place = this.#waiters.indexOf(waiter);
    if (place === -1) return false;
    this.#waiters.splice(place, 1);
    this.#settle(waiter);
    if (this.#waiters.length === 0) this.#leave();
    return true;
  }

  // For `lockAll`, whose step asks for several locks at once
  /** Keeps the idle line for an ask that another step makes: its token. */
  reserve(ttlMs: number): string {
    this.#ask = newAsk(this.session.token(ttlMs), false);
    return this.#ask.token;
  }

  /** That step got nothing. */
  unreserve(): void {
    this.#ask = undefined;
    this.#advance();
  }

  /** That step may have got the lock, and nobody wants it any more. */
  giveUp(token: string): void {
    if (this.#ask?.token === token) this.#ask = undefined;
    this.session.inBackground(this.#tellLeave(token));
    this.#advance();
  }

  /** That step got the lock. */
  adopt(owner: string, until: Instant, terms: LeaseTerms): HeldLease {
    let lease: HeldLease | undefined;
    this.session.enter();
    this.#waiters.unshift({
      ...terms,
      site: undefined,
      once: true,
      settled: false,
      grant: (given) => (lease = given),
      fail: () => {},
      refuse: () => {},
    });
    this.#begin(owner, until, -1);
    return lease!;
  }

  leftMs(lease: HeldLease): number {
    return this.#hold !== undefined && this.lease === lease ? this.session.leases.leftMs(this.#hold) : 0;
  }

  /** The owner that the store must still have for a guarded write of this lease. */
  ownerFor(lease: HeldLease): string | undefined {
    return this.lease === lease ? this.#hold?.owner : undefined;
  }

  async release(lease: HeldLease): Promise<void> {
    if (this.lease !== lease) return;
    this.lease = undefined;
    this.session.exit();
    if (this.#mayHandOn()) this.#next();
    else await this.#giveBack();
  }

  // Mail about this lock
  told(verb: string, subject: string, waitedMs: number, note: string): void {
    if (verb === 'granted') this.#pushed(subject, waitedMs);
    else if (verb === 'moved' && this.#ask?.token === subject) this.#send(this.#ask);
    else if (this.#hold?.owner !== subject) return;
    else if (verb === 'wanted') this.#wantedSince = Math.min(this.#wantedSince, this.session.clock.monotonicMs());
    else if (verb === 'revoke') this.lease?.requested(note);
    else if (verb === 'lost') {
      this.session.leases.drop(this.#hold);
      this.#lost(this.#hold, { cause: 'forced', lagMs: 0, confirmedUntil: this.session.clock.wallUs() / 1000 });
    }
  }

  async close(reason: LockstepError): Promise<void> {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) {
      this.#settle(waiter);
      waiter.fail(reason);
    }
    this.#leave();
    const hold = this.#hold;
    const lease = this.lease;
    if (hold === undefined) return;
    if (lease !== undefined) {
      this.lease = undefined;
      this.session.exit();
      lease.lose(this.#lossOf(lease, { cause: 'closed', lagMs: 0, confirmedUntil: 0 }));
    }
    await this.#giveBack();
  }

  /** Whoever is first gets what is held, or the store is asked for it. */
  #advance(): void {
    const first = this.#waiters[0];
    if (first === undefined) {
      if (this.idle) this.#idle(this);
      return;
    }
    if (this.#hold !== undefined || this.#ask !== undefined || this.session.closing) return;
    this.#ask = newAsk(this.session.token(first.ttlMs), first.once && this.#waiters.length === 1);
    this.#send(this.#ask);
  }

  /** Asks, or asks again: the same request, idempotent by its token. */
  #send(ask: Ask): void {
    ask.recheck?.cancel();
    const sentAt = instantNow(this.session.clock);
    const request = {
      token: ask.token,
      wait: ask.once ? 0 : 1,
      fences: limits.handOversInARow,
      queueMs: limits.queueMs,
    };
    this.session.engine.run(operations.acquire, this.keys, request).then(
      (reply) => {
        if (this.#ask !== ask) return; // left meanwhile; `leave` was sent after this
        if (reply[0] === 'granted') this.#begin(reply[1], validFor(sentAt, ttlOf(ask.token)), reply[3]);
        else this.#held(ask, sentAt, reply);
      },
      (error: unknown) => {
        if (this.#ask === ask) this.#unanswered(ask, error);
      },
    );
  }

  /** Somebody else has the lock: wait for mail, for the end of whoever is ahead, or until its lease is over. */
  #held(ask: Ask, sentAt: Instant, [, owner, leftMs, ahead, card]: operations.Held): void {
    this.blocker = { owner, card };
    if (ask.once) {
      this.#forget(ask);
      const waiter = this.#waiters.shift();
      if (waiter !== undefined) {
        this.#settle(waiter);
        waiter.refuse();
      }
      this.#advance();
      return;
    }
    ask.sentAt = sentAt;
    ask.queued = true;
    ask.attempts = 0;
    this.#watch(ask, ahead);
    const foreign = parseOwner(owner) === undefined; // it sends no mail
    const ms = foreign ? foreignPollMs(this.session.clock.random()) : recheckMs(leftMs, this.session.clock.random());
    ask.recheck = this.session.clock.timer(ms, () => this.#send(ask));
  }

  #watch(ask: Ask, ahead: string): void {
    if (ask.ahead === ahead) return;
    ask.unwatch?.();
    ask.ahead = ahead;
    const token = tokenOf(ahead);
    const session = token?.session;
    if (token === undefined || session === undefined || session === this.session.info.id) return;
    ask.unwatch = this.session.engine.watch(session, () => {
      if (this.#ask !== ask) return;
      ask.ahead = '';
      this.session.inBackground(this.#tellLeave(token.text)); // for the dead, who can't
      this.session.forget(session);
      this.#send(ask);
    });
  }

  /**
   * The store did not answer. What stands in its queue goes on asking for the length of a lease, each waiter up to its
   * own deadline; what it never heard of is told at once.
   */
  #unanswered(ask: Ask, error: unknown): void {
    const now = this.session.clock.monotonicMs();
    if (ask.attempts === 0) ask.silentSince = now;
    if (!ask.queued || !isPassing(error) || now - ask.silentSince > ttlOf(ask.token)) {
      this.#forget(ask);
      for (const waiter of this.#waiters.splice(0)) {
        this.#settle(waiter);
        waiter.fail(error as Error);
      }
      this.session.inBackground(this.#tellLeave(ask.token)); // it may have heard
      this.#advance();
      return;
    }
    ask.attempts += 1;
    const ms = Math.min(1_000, 10 * 2 ** ask.attempts) * (0.5 + this.session.clock.random() / 2);
    ask.recheck = this.session.clock.timer(ms, () => this.#send(ask));
  }

  /** Mail says that the lock is ours. */
  #pushed(owner: string, waitedMs: number): void {
    const ask = this.#ask;
    if (ask === undefined || !owner.startsWith(`${ask.token}:`)) {
      // Told twice, or granted to an ask that was given up: then nobody may keep it.
      const token = tokenOf(owner);
      if (token !== undefined && this.#hold?.owner !== owner) this.session.inBackground(this.#tellLeave(token.text));
      return;
    }
    const now = instantNow(this.session.clock);
    const ttlMs = ttlOf(ask.token);
    // The grant is not later than its own stamp on a clock that we share, else than our last check.
    const from = this.session.engine.sharesClock ? { ...now, wallMs: parseOwner(owner)!.sinceMs } : ask.sentAt;
    if (this.session.engine.sharesClock) from.monotonicMs -= Math.max(0, now.wallMs - from.wallMs);
    const until = validFor(from, ttlMs);
    if (msUntil(until, now) > ttlMs / 2) this.#begin(owner, until, waitedMs);
    else this.#send(ask);
  }

  /** The store granted us the lock: `until` as counted from before it could. */
  #begin(owner: string, until: Instant, waitedMs: number): void {
    if (this.#ask !== undefined) this.#forget(this.#ask);
    const first = this.#waiters[0];
    this.#inARow = 0;
    this.#wantedSince = waitedMs < 0 ? Number.POSITIVE_INFINITY : this.session.clock.monotonicMs() - waitedMs;
    const hold = this.session.leases.keep(
      this.keys.owner,
      owner,
      first?.ttlMs ?? limits.leaseMsMin,
      until,
      first?.maxHoldMs ?? 0,
      (loss) => this.#lost(hold, loss),
    );
    this.#hold = hold;
    if (first === undefined) this.session.inBackground(this.#giveBack());
    else this.#next();
  }

  /** Gives what is held to the first task. */
  #next(): void {
    const waiter = this.#waiters.shift();
    const hold = this.#hold;
    if (waiter === undefined || hold === undefined) return;
    if (this.#inARow > 0 && (waiter.ttlMs !== hold.ttlMs || waiter.maxHoldMs > 0)) {
      this.session.leases.keepOn(hold, waiter.ttlMs, waiter.maxHoldMs);
    }
    const fence = parseOwner(hold.owner)!.fence + this.#inARow;
    const since = Math.floor(this.session.clock.wallUs() / 1000);
    this.lease = new HeldLease(this, fence, since, waiter.site);
    waiter.settled = true;
    waiter.wait?.end();
    waiter.grant(this.lease);
  }

  /** Whether the next task of this session may have the lock without asking the store. */
  #mayHandOn(): boolean {
    const next = this.#waiters[0];
    const hold = this.#hold;
    if (next === undefined || hold === undefined || this.session.closing) return false;
    this.#inARow += 1;
    if (this.#inARow >= limits.handOversInARow) return false;
    if (this.session.clock.monotonicMs() - this.#wantedSince > limits.handOverWaitMsMax) return false;
    return this.session.leases.leftMs(hold) > next.ttlMs / 2;
  }

  /** Gives the lock back to the store, which hands it on; whoever waits here asks anew, behind the others. */
  #giveBack(): Promise<void> {
    const hold = this.#hold;
    if (hold === undefined) return Promise.resolve();
    this.#hold = undefined;
    this.lease = undefined;
    const leftMs = this.session.leases.leftMs(hold);
    this.session.leases.drop(hold);
    const done = this.#tellRelease(hold.owner, leftMs);
    this.#advance();
    return done;
  }

  #tellRelease(owner: string, leftMs: number): Promise<void> {
    const ask = { owner, fences: limits.handOversInARow };
    return this.#untilAnswered(leftMs, () => this.session.engine.run(operations.release, this.keys, ask));
  }

  #tellLeave(token: string): Promise<void> {
    const ask = { token, fences: limits.handOversInARow };
    return this.#untilAnswered(ttlOf(token), () => this.session.engine.run(operations.leave, this.keys, ask));
  }

  /** Tries until the store answers, or until what is to be ended is over by itself. Never rejects. */
  async #untilAnswered(forMs: number, send: () => Promise<unknown>): Promise<void> {
    const end = this.session.clock.monotonicMs() + forMs;
    for (let attempt = 1; ; attempt++) {
      try {
        await send();
        return;
      } catch (error) {
        if (!isPassing(error) || this.session.clock.monotonicMs() >= end) return;
      }
      const ms = Math.min(1_000, 10 * 2 ** attempt);
      await new Promise<void>((resolve) => this.session.clock.timer(ms, resolve));
    }
  }

  /** Nobody here waits any more: out of the store's queue, and out of the lock if it was granted meanwhile. */
  #leave(): void {
    const ask = this.#ask;
    if (ask !== undefined) {
      this.#forget(ask);
      this.session.inBackground(this.#tellLeave(ask.token));
    }
    if (this.idle) this.#idle(this);
  }

  #forget(ask: Ask): void {
    ask.recheck?.cancel();
    ask.unwatch?.();
    this.#ask = undefined;
  }

  #lost(hold: Hold, loss: Loss): void {
    if (this.#hold !== hold) return;
    this.#hold = undefined;
    const lease = this.lease;
    this.lease = undefined;
    if (lease !== undefined) {
      this.session.exit();
      lease.lose(this.#lossOf(lease, loss));
    }
    // One compare-and-delete: the store may still have it, when only the confirmation is late.
    const ask = { owner: hold.owner, fences: limits.handOversInARow };
    this.session.inBackground(this.session.engine.run(operations.release, this.keys, ask));
    this.#advance();
  }

  #lossOf(lease: HeldLease, loss: Loss): LockstepError {
    const why = {
      lost: 'the store gave it to somebody else or forgot it',
      expired: 'its renewal was not confirmed in time',
      forced: 'somebody released it by force',
      closed: 'its session was closed',
    }[loss.cause];
    const lag = loss.lagMs > 50 ? ` (the event loop ran ${loss.lagMs} ms late)` : '';
    return new LockstepError(
      'LEASE_LOST',
      `the lease of lock ${JSON.stringify(this.name)} (fence ${lease.fence}) is over: ${why}${lag}; stop what it protects`,
      { details: { lock: this.name, fence: lease.fence, ...loss } },
    );
  }

  #settle(waiter: Waiter): void {
    waiter.settled = true;
    waiter.wait?.end();
    this.session.exit();
  }
}

function newAsk(token: string, once: boolean): Ask {
  return {
    token,
    once,
    sentAt: { monotonicMs: 0, wallMs: 0 },
    recheck: undefined,
    ahead: '',
    unwatch: undefined,
    queued: false,
    silentSince: 0,
    attempts: 0,
  };
}

function ttlOf(token: string): number {
  return tokenOf(token)!.ttlMs;
}

/** A little after the holder's lease is over; jitter so that not all come at once. */
function recheckMs(leftMs: number, random: number): number {
  const ms = leftMs < 0 ? limits.recheckMsMax : Math.min(leftMs, limits.recheckMsMax);
  return ms + 1 + random * Math.min(50, 1 + ms / 10);
}

function foreignPollMs(random: number): number {
  return 5 + random * 20;
}

/** Whether the same request may succeed later. */
function isPassing(error: unknown): boolean {
  return error instanceof LockstepError && error.code === 'UNAVAILABLE';
}
