import type { Timer } from '../base/clock.ts';
import { LockstepError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { LockNames } from '../base/names.ts';
import type { Wait } from '../base/waiting.ts';
import type { Instant } from '../engines/engine.ts';
import type { Hold, Loss } from '../session/leases.ts';
import { closedError, type Receiver, type Session } from '../session/session.ts';
import type { CallSite } from './call-site.ts';
import { HeldLease, type LeaseSource } from './lease.ts';
import { type AskOutcome, type Blocker, giveBack, LockAsk, leaveLine } from './lock-ask.ts';
import type { LockName } from './lock-lines.ts';
import { lossText } from './loss-text.ts';
import { fenceOf, tokenOf } from './owner.ts';

/** On what terms a lease is held. */
export interface LeaseTerms {
  readonly ttlMs: number;
  /** 0: no bound. */
  readonly maxHoldMs: number;
  /** How long the session keeps the lock after a release that nobody waits for; 0: not at all. */
  readonly keepMs: number;
}

/** One task that waits for the lock. */
export interface Waiter extends LeaseTerms {
  /** What the task calls the lock: two names may have one key. */
  readonly name: string;
  readonly site: CallSite | undefined;
  /** Tries once. */
  readonly once: boolean;
  readonly wait?: Wait | undefined;
  grant(lease: HeldLease): void;
  fail(error: Error): void;
  /** The lock is not free, and the waiter tries only once. */
  refuse(): void;
}

/**
 * The tasks of one session before one lock, first come, first served.
 *
 * The session stands in the store's queue once, for all of them. When the store grants it the lock, the first task
 * gets a lease; on release the next task may get the lock without a round trip, as long as no other session has to
 * wait for that: at most `handOversInARow` times, `handOversInARowWanted` while another session waits, and not once one
 * has waited `handOverWaitMsMax`. At a server, where it takes longer until the other one has the lock, fewer in a row
 * let it change its owner more often.
 *
 * Held by a task, kept for the next one, asked for, or idle; tasks wait while it is held or asked for.
 */
export class LockLine implements Receiver, LeaseSource, AskOutcome {
  readonly name: string;
  readonly keys: LockNames;
  readonly session: Session;
  blocker: Blocker | undefined;
  /** The task that holds the lock now. */
  lease: HeldLease | undefined;
  readonly #idle: (line: LockLine) => void;
  #waiters: Waiter[] = [];
  #ask: LockAsk | undefined;
  /** The ask belongs to a step of `lockAll`, which alone may end it. */
  #reserved = false;
  #hold: Hold | undefined;
  /** The first fence of what is held, and how many there are. */
  #fence = 0;
  #fences = 0;
  #inARow = 0;
  /** What was kept last was given back for want of fences. */
  #wasShort = false;
  #keepMs = 0;
  /** Ends the time for which the lock is kept without a task that holds it. */
  #kept: Timer | undefined;
  /** Since when this session holds the lock: monotonic ms. */
  #heldSince = 0;
  /** Since when another session waits: monotonic ms. */
  #wantedSince = Number.POSITIVE_INFINITY;
  /** What was said to the owner of the lock before it was known here that this is who that is. */
  #early: Map<string, readonly [owner: string, note: string]> | undefined;
  /** Mail may have been lost since a step of `lockAll` was sent. */
  #isOld = false;

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

  join(waiter: Waiter): void {
    if (this.#kept !== undefined) return this.#takeKept(waiter);
    if (waiter.once && !this.idle) {
      waiter.wait?.end();
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
    this.#dismiss(waiter);
    if (this.#waiters.length === 0) this.#leave();
    return true;
  }

  release(lease: HeldLease): Promise<void> {
    if (this.lease !== lease) return done;
    this.lease = undefined;
    this.session.exit();
    const next = this.#waiters[0];
    const isKept = next === undefined && this.#keepMs > 0 && !this.#isWanted;
    if ((next === undefined && !isKept) || !this.#mayHandOn(next?.ttlMs ?? lease.ttlMs, isKept))
      return this.#giveBack();
    if (isKept) this.#keep();
    else this.#next();
    return done;
  }

  leftMs(lease: HeldLease): number {
    return this.#hold !== undefined && this.lease === lease ? this.session.leases.leftMs(this.#hold) : 0;
  }

  ownerFor(lease: HeldLease): string | undefined {
    return this.lease === lease ? this.#hold?.owner : undefined;
  }

  // What `lockAll` does, whose step asks for several locks at once

  /** Keeps the idle line for an ask that another step makes: its token. */
  reserve(ttlMs: number): string {
    this.#ask = new LockAsk(this.session, this.keys, { ttlMs, once: false, fences: limits.handOversInARow }, this);
    this.#reserved = true;
    return this.#ask.token;
  }

  /** That step got nothing. */
  unreserve(): void {
    this.#endAsk();
    this.#advance();
  }

  /** That step may have got the lock, and nobody wants it any more. */
  giveUp(): void {
    this.#ask?.leave();
    this.unreserve();
  }

  /** That step got the lock. */
  adopt(owner: string, until: Instant, terms: LeaseTerms): HeldLease {
    let lease: HeldLease | undefined;
    this.session.enter();
    const grant = (given: HeldLease): void => void (lease = given);
    this.#waiters.unshift({
      ...terms,
      name: this.name,
      site: undefined,
      once: false,
      grant,
      fail: () => {},
      refuse: () => {},
    });
    const isOld = this.#isOld;
    this.granted(owner, until, -1, limits.handOversInARow);
    if (isOld) {
      this.#wanted();
      this.session.verify();
    }
    return lease!;
  }

  // What comes of an ask

  granted(owner: string, until: Instant, waitedMs: number, fences: number): void {
    const early = this.#early;
    this.#endAsk();
    const first = this.#waiters[0];
    if (first === undefined) {
      this.session.inBackground(giveBack(this.session, this.keys, owner, 0));
      return;
    }
    this.#fence = fenceOf(owner);
    this.#fences = fences;
    this.#inARow = 0;
    this.#heldSince = this.session.clock.monotonicMs();
    this.#wantedSince = waitedMs < 0 ? Number.POSITIVE_INFINITY : this.#heldSince - waitedMs;
    const { ttlMs, maxHoldMs } = first;
    const hold = this.session.leases.keep(this.keys.owner, owner, ttlMs, until, maxHoldMs, (loss) =>
      this.#lost(hold, loss),
    );
    this.#hold = hold;
    this.#next();
    if (early === undefined) return;
    for (const [verb, [subject, note]] of early) this.told(verb, subject, -1, note);
  }

  held(blocker: Blocker): void {
    this.blocker = blocker;
  }

  refused(blocker: Blocker): void {
    this.blocker = blocker;
    this.#endAsk();
    const first = this.#waiters[0];
    if (first?.once === true) {
      this.#waiters.shift();
      this.#dismiss(first);
      first.refuse();
    }
    this.#advance();
  }

  failed(error: Error): void {
    this.#endAsk();
    this.#failAll(error);
    this.#advance();
  }

  // What comes by mail, and the end

  told(verb: string, subject: string, waitedMs: number, note: string): void {
    if (verb === 'granted') this.#pushed(subject, waitedMs);
    else if (this.#hold?.owner === subject) this.#holderTold(verb, note);
    else if (this.#ask?.isFor(subject) === true) (this.#early ??= new Map()).set(verb, [subject, note]);
    else if (verb === 'moved' && this.#ask?.token === subject) this.#ask.send();
    else if (verb === 'open' && this.#ask?.token === subject) this.#ask.sendLater();
  }

  #holderTold(verb: string, note: string): void {
    if (verb === 'wanted') this.#wanted();
    else if (verb === 'revoke') this.lease?.requested(note);
    else if (verb === 'lost') this.session.leases.end(this.#hold!, 'forced');
  }

  /** Mail may have been lost: that another session waits for what is held here, too. */
  resync(): void {
    this.#ask?.resync();
    this.#isOld = this.#reserved;
    if (this.#hold !== undefined) this.#wanted();
  }

  async close(): Promise<void> {
    this.#failAll(closedError(`waiting for lock ${JSON.stringify(this.name)}`));
    this.#leave();
    const lease = this.lease;
    if (lease !== undefined) {
      this.session.exit();
      lease.lose(this.#lossOf(lease, { cause: 'closed', lagMs: 0, confirmedUntil: 0 }));
    }
    await this.#giveBack();
  }

  /** Another session waits. */
  get #isWanted(): boolean {
    return this.#wantedSince !== Number.POSITIVE_INFINITY;
  }

  /** Asks the store for the first in line, unless the lock is here or asked for. `later`: others may come first. */
  #advance(later = false): void {
    const first = this.#waiters[0];
    if (first === undefined) {
      if (this.idle) this.#idle(this);
      return;
    }
    if (this.#hold !== undefined || this.#ask !== undefined || this.session.closing) return;
    const ask = this.#askFor(first);
    if (later) ask.sendLater();
    else ask.send();
  }

  #askFor(first: Waiter): LockAsk {
    const once = first.once && this.#waiters.length === 1;
    const fences = first.keepMs > 0 && this.#wasShort ? limits.keptInARow : limits.handOversInARow;
    this.#ask = new LockAsk(this.session, this.keys, { ttlMs: first.ttlMs, once, fences }, this);
    return this.#ask;
  }

  /** Mail says that the lock is ours. After the ask was given up nobody may keep it. */
  #pushed(owner: string, waitedMs: number): void {
    const token = tokenOf(owner);
    // Told twice; or late, of a grant that ran out unheard before the same ask was granted anew.
    if (this.#hold !== undefined && token?.text === tokenOf(this.#hold.owner)?.text) return;
    if (token === undefined || this.#ask?.pushed(owner, waitedMs) === true) return;
    this.session.inBackground(leaveLine(this.session, this.keys, token.text));
  }

  #wanted(): void {
    this.#wantedSince = Math.min(this.#wantedSince, this.session.clock.monotonicMs());
    if (this.#kept !== undefined) this.session.inBackground(this.#giveBack());
  }

  /** Keeps the lock for the next task of this session, until another session wants it or the time is over. */
  #keep(): void {
    const ms = this.keys.shared ? Math.min(this.#keepMs, limits.openEveryMs) : this.#keepMs;
    this.#kept = this.session.clock.timer(ms, () => this.session.inBackground(this.#giveBack()));
  }

  #takeKept(waiter: Waiter): void {
    this.#endKept();
    this.session.enter();
    this.#waiters.push(waiter);
    const isGood = this.#hold !== undefined && this.session.leases.leftMs(this.#hold) > waiter.ttlMs / 2;
    if (isGood) this.#next();
    else this.session.inBackground(this.#giveBack()); // and asks anew
  }

  #endKept(): void {
    this.#kept?.cancel();
    this.#kept = undefined;
  }

  /** Gives what is held to the first task. */
  #next(): void {
    const waiter = this.#waiters.shift();
    const hold = this.#hold;
    if (waiter === undefined || hold === undefined) return;
    if (this.#inARow > 0 && (waiter.ttlMs !== hold.ttlMs || waiter.maxHoldMs + hold.maxHoldMs > 0)) {
      this.session.leases.keepOn(hold, waiter.ttlMs, waiter.maxHoldMs);
    }
    const fence = this.#fence + this.#inARow;
    const since = Math.floor(this.session.clock.wallUs() / 1000);
    this.#keepMs = waiter.keepMs;
    this.lease = new HeldLease(this, waiter.name, { fence, since, ttlMs: waiter.ttlMs }, waiter.site);
    waiter.wait?.end();
    waiter.grant(this.lease);
  }

  /** Whether the next task of this session may have the lock without asking the store; `isKept`: there is none yet. */
  #mayHandOn(ttlMs: number, isKept: boolean): boolean {
    const hold = this.#hold;
    if (hold === undefined || this.session.closing) return false;
    this.#inARow += 1;
    const now = this.session.clock.monotonicMs();
    this.#wasShort = isKept && this.#inARow >= limits.handOversInARow;
    if (this.#inARow >= this.#inARowMax(now, isKept)) return false;
    if (now - this.#wantedSince > limits.handOverWaitMsMax) return false;
    if (this.keys.shared && now - this.#heldSince > limits.openEveryMs) return false;
    return this.session.leases.leftMs(hold) > ttlMs / 2;
  }

  /** A lock that nobody else asked for, as far as is known, is kept for longer where all is over soon. */
  #inARowMax(now: number, isKept: boolean): number {
    if (this.#isWanted) {
      return this.session.engine.losesReplies ? limits.handOversInARowWantedAfar : limits.handOversInARowWanted;
    }
    if (isKept && now - this.#heldSince < limits.handOverWaitMsMax) return this.#fences;
    return limits.handOversInARow;
  }

  /** Gives the lock back to the store, which hands it on; whoever waits here asks anew, behind the others. */
  #giveBack(): Promise<void> {
    const hold = this.#hold;
    if (hold === undefined) return done;
    const untilMs = this.session.leases.validUntil(hold).monotonicMs;
    this.session.leases.drop(hold);
    this.#endKept();
    this.#hold = undefined;
    this.lease = undefined;
    const next = this.#waiters[0];
    // Where others wait, the next ask stands in the line behind them before they get the lock.
    const isBehind = this.#isWanted && !this.keys.shared && next?.once === false && !this.session.closing;
    if (isBehind) return this.#askFor(next).give(hold.owner, untilMs);
    const given = giveBack(this.session, this.keys, hold.owner, untilMs);
    this.#advance(this.keys.shared);
    return given;
  }

  #lost(hold: Hold, loss: Loss): void {
    if (this.#hold !== hold) return;
    const lease = this.lease;
    this.#endKept();
    this.#hold = undefined;
    this.lease = undefined;
    if (lease !== undefined) {
      this.session.exit();
      lease.lose(this.#lossOf(lease, loss));
    }
    // Once: the store may still have it, when only the confirmation is late.
    this.session.inBackground(giveBack(this.session, this.keys, hold.owner, 0));
    this.#advance();
  }

  #failAll(error: Error): void {
    for (const waiter of this.#waiters.splice(0)) {
      this.#dismiss(waiter);
      waiter.fail(error);
    }
  }

  #leave(): void {
    if (this.#reserved) return;
    this.#ask?.leave();
    this.#endAsk();
    if (this.idle) this.#idle(this);
  }

  #endAsk(): void {
    this.#ask?.end();
    this.#ask = undefined;
    this.#early = undefined;
    this.#reserved = this.#isOld = false;
  }

  #dismiss(waiter: Waiter): void {
    waiter.wait?.end();
    this.session.exit();
  }

  #lossOf(lease: HeldLease, loss: Loss): LockstepError {
    const subject = `the lease of lock ${JSON.stringify(lease.lock)} (fence ${lease.fence})`;
    return new LockstepError('LEASE_LOST', lossText(subject, loss), {
      details: { lock: lease.lock, fence: lease.fence, ...loss },
    });
  }
}

const done = Promise.resolve();
