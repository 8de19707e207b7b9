import type { Timer } from '../base/clock.ts';
import { limits } from '../base/limits.ts';
import type { LockNames } from '../base/names.ts';
import { instantNow, leftMs, validFor } from '../base/validity.ts';
import type { Instant } from '../engines/engine.ts';
import * as operations from '../operations/lock.ts';
import type { Session } from '../session/session.ts';
import { backOffMs, insist, isPassing } from './insist.ts';
import { parseOwner, type Token, tokenOf } from './owner.ts';

/** What may come of an ask; each ends it, but `held`. */
export interface AskOutcome {
  /**
   * The store granted the lock: `until` is counted from before it could, `waitedMs` is as in `operations.Granted`, and so
   * many fences are its own.
   */
  granted(owner: string, until: Instant, waitedMs: number, fences: number): void;
  /** Somebody else has it; the ask stands in the queue. */
  held(blocker: Blocker): void;
  /** Somebody else has it, and the ask does not wait. */
  refused(blocker: Blocker): void;
  failed(error: Error): void;
}

/** Who is in the way, as the store last said. */
export interface Blocker {
  readonly owner: string;
}

/** What is asked for. */
export interface AskTerms {
  readonly ttlMs: number;
  /** Does not wait. */
  readonly once: boolean;
  /** Fencing tokens, for hand-overs inside the session. */
  readonly fences: number;
}

/**
 * One request for a lock: the session's place in the store's queue. The same request is sent again whenever a hint may
 * have been lost: when the holder's lease is over, when whoever is directly ahead in the line dies, when the store did
 * not answer. It is idempotent by its token.
 */
export class LockAsk {
  readonly token: string;
  readonly once: boolean;
  readonly #session: Session;
  readonly #keys: LockNames;
  readonly #ttlMs: number;
  readonly #fences: number;
  readonly #outcome: AskOutcome;
  #ended = false;
  #sends = 0;
  #confirming = false;
  #onItsWay = 0;
  /** Mail may have been lost since the reply that is on its way was made. */
  #isOld = false;
  /** The store has it in its queue. */
  #queued = false;
  #sentAt: Instant = { monotonicMs: 0, wallMs: 0 };
  /** Of who held it then: a grant with a lower one was over before. Not known of another program's: then any grant is asked about. */
  #holderFence = Number.POSITIVE_INFINITY;
  #recheck: Timer | undefined;
  #ahead = '';
  /** The token of a dead holder, after which it was tried once more. */
  #buried = '';
  #unwatch: (() => void) | undefined;
  /** How often a holder that sends no mail was found there. */
  #polls = 0;
  /** Since when the store does not answer, and how often it was asked since: monotonic ms. */
  #silentSince = 0;
  #attempts = 0;

  constructor(session: Session, keys: LockNames, terms: AskTerms, outcome: AskOutcome) {
    this.token = session.token(terms.ttlMs);
    this.once = terms.once;
    this.#fences = terms.fences;
    this.#session = session;
    this.#keys = keys;
    this.#ttlMs = terms.ttlMs;
    this.#outcome = outcome;
  }

  send(): void {
    this.#send('');
  }

  /** Stands in the line, and in the same step gives `owner` back, which this session has until `untilMs`, monotonic. Never rejects. */
  give(owner: string, untilMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#send(owner, (isSure) => resolve(isSure ? undefined : giveBack(this.#session, this.#keys, owner, untilMs)));
    });
  }

  /** `done`: with false where the store did not answer. */
  #send(gives: string, done?: (isSure: boolean) => void): void {
    this.#recheck?.cancel();
    this.#sends += 1;
    this.#onItsWay += 1;
    const isFirst = this.#sends === 1;
    const sentAt = instantNow(this.#session.clock);
    const request = {
      token: this.token,
      ttlMs: String(this.#ttlMs),
      wait: this.once ? 0 : 1,
      fences: this.#fences,
      queueMs: limits.queueMs,
      gives,
    };
    this.#session.engine.run(operations.acquire, this.#keys, request).then(
      (reply) => {
        this.#onItsWay -= 1;
        done?.(true);
        if (this.#ended) return; // `leave` was sent after this
        // It may have been granted by an earlier send, whose reply was lost, or by who had it: only what is left counts.
        const fences = isFirst ? this.#fences : limits.handOversInARow;
        if (typeof reply === 'string') this.#granted(reply, validFor(sentAt, this.#ttlMs), -1, fences);
        else if (reply[0] === 'granted')
          this.#granted(reply[1], validFor(sentAt, Math.min(reply[2], this.#ttlMs)), reply[3], fences);
        else this.#held(sentAt, reply);
      },
      (error: unknown) => {
        this.#onItsWay -= 1;
        done?.(false);
        if (!this.#ended) this.#unanswered(error as Error);
      },
    );
  }

  /** Mail says that the lock is ours. False if that is not about this ask. */
  pushed(owner: string, waitedMs: number): boolean {
    if (this.#ended || !this.isFor(owner)) return false;
    const now = instantNow(this.#session.clock);
    const until = validFor(this.#grantedAt(owner, now), this.#ttlMs);
    const isNews = (parseOwner(owner)?.fence ?? 0) > this.#holderFence;
    if (isNews && leftMs(until, now) > this.#ttlMs / 2) this.#granted(owner, until, waitedMs, limits.handOversInARow);
    else this.send();
    return true;
  }

  /** Others, who stand in no queue, may have the lock first. */
  sendLater(): void {
    if (!this.#ended) this.#sendIn(1 + this.#session.clock.random() * (limits.openMsMax - 1));
  }

  /**
   * Mail may have been lost, also before the reply that is on its way came, which is waited for: two sends on their way might
   * come after what the first one led to. An ask that the store never heard of is not sent here: another step makes it.
   */
  resync(): void {
    if (this.#onItsWay > 0 || this.#confirming) this.#isOld = true;
    else if (this.#queued && !this.#ended) this.send();
  }

  /** Whether that is who owns the lock when this was granted. */
  isFor(owner: string): boolean {
    return owner.startsWith(`${this.token}:`);
  }

  /** Nobody wants it any more: out of the queue, and out of the lock if it was granted meanwhile. */
  leave(): void {
    this.end();
    this.#session.inBackground(leaveLine(this.#session, this.#keys, this.token));
  }

  /** Nothing more comes of it here. */
  end(): void {
    this.#ended = true;
    this.#recheck?.cancel();
    this.#unwatch?.();
  }

  #granted(owner: string, until: Instant, waitedMs: number, fences: number): void {
    if (this.#isOld) return this.#sendAgain(); // it may be over since, or wanted
    const { engine } = this.#session;
    if (engine.confirm === undefined) {
      this.end();
      this.#outcome.granted(owner, until, waitedMs, fences);
      return;
    }
    this.#recheck?.cancel();
    if (this.#confirming) return; // told of it once more
    this.#confirming = true;
    const given = engine.confirm({ key: this.#keys.owner, owner, ttlMs: this.#ttlMs }).then(
      () => {
        if (this.#ended) return; // given up meanwhile
        this.#confirming = false;
        if (this.#isOld) return this.#sendAgain();
        this.end();
        this.#outcome.granted(owner, until, waitedMs, fences);
      },
      (error: unknown) => {
        if (this.#ended) return;
        this.leave();
        this.#outcome.failed(error as Error);
      },
    );
    this.#session.inBackground(given);
  }

  /** Mail may have been lost since the last reply was made. */
  #sendAgain(): void {
    this.#isOld = false;
    this.send();
  }

  /** Wait for mail, for the end of whoever is ahead, or until the holder's lease is over. */
  #held(sentAt: Instant, [, owner, holderLeftMs, ahead]: operations.Held): void {
    if (this.once) {
      this.#session.inBackground(this.#refused(owner));
      return;
    }
    this.#sentAt = sentAt;
    this.#holderFence = parseOwner(owner)?.fence ?? Number.POSITIVE_INFINITY;
    this.#queued = true;
    this.#attempts = 0;
    this.#outcome.held({ owner });
    this.#watch(ahead);
    const random = this.#session.clock.random();
    this.#polls = this.#holderFence === Number.POSITIVE_INFINITY ? this.#polls + 1 : 0; // it sends no mail
    if (this.#isOld) return this.#sendAgain();
    this.#sendIn(this.#polls > 0 ? foreignPollMs(this.#polls, random) : recheckMs(holderLeftMs, random));
  }

  /** A dead holder is none: tried once more when it is buried. */
  async #refused(owner: string): Promise<void> {
    const holder = tokenOf(owner);
    if (holder !== undefined && holder.text !== this.#buried && !(await this.#session.engine.alive(holder.session))) {
      this.#buried = holder.text;
      this.#bury(holder);
      if (!this.#ended) this.send();
    } else if (!this.#ended) {
      this.end();
      this.#outcome.refused({ owner });
    }
  }

  /** Leaves for the dead, who can't. */
  #bury(dead: Token): void {
    this.#session.inBackground(leaveLine(this.#session, this.#keys, dead.text));
    this.#session.forget(dead.session);
  }

  #watch(ahead: string): void {
    if (this.#ahead === ahead) return;
    this.#unwatch?.();
    this.#ahead = ahead;
    const token = tokenOf(ahead);
    if (token === undefined || token.session === this.#session.info.id) return;
    this.#unwatch = this.#session.engine.watch(token.session, () => {
      if (this.#ended) return;
      this.#ahead = '';
      this.#bury(token);
      this.send();
    });
  }

  /**
   * The store did not answer. What stands in its queue goes on asking for the length of a lease, each waiter up to its
   * own deadline; what it never heard of fails at once.
   */
  #unanswered(error: Error): void {
    const now = this.#session.clock.monotonicMs();
    if (this.#attempts === 0) this.#silentSince = now;
    if (!this.#queued || !isPassing(error) || now - this.#silentSince > this.#ttlMs) {
      this.leave(); // it may have heard
      this.#outcome.failed(error);
      return;
    }
    this.#attempts += 1;
    this.#sendIn(backOffMs(this.#attempts) * (0.5 + this.#session.clock.random() / 2));
  }

  #sendIn(ms: number): void {
    this.#recheck?.cancel(); // two replies may come of two sends
    this.#recheck = this.#session.clock.timer(ms, () => this.send());
  }

  /** A pushed grant is not later than its own stamp on a clock that we share and that was not set back, else than our last check. */
  #grantedAt(owner: string, now: Instant): Instant {
    const sent = this.#sentAt;
    const wasSetBack = now.wallMs - sent.wallMs < now.monotonicMs - sent.monotonicMs - limits.clockGrainMs;
    if (!this.#session.engine.sharesClock || wasSetBack) return sent;
    const wallMs = parseOwner(owner)?.sinceMs ?? 0;
    return { wallMs, monotonicMs: now.monotonicMs - Math.max(0, now.wallMs - wallMs) };
  }
}

/** Takes a token out of the line, or out of the lock: its own, or that of a dead session. Never rejects. */
export function leaveLine(session: Session, keys: operations.LockKeys, token: string): Promise<void> {
  const ask = { token, fences: limits.handOversInARow };
  const untilMs = session.clock.monotonicMs() + (tokenOf(token)?.ttlMs ?? 0);
  return insist(session, untilMs, () => session.engine.run(operations.leave, keys, ask));
}

/** Gives the lock back, if `owner` still has it, which it has until `untilMs`, monotonic. Never rejects. */
export function giveBack(session: Session, keys: LockNames, owner: string, untilMs: number): Promise<void> {
  const ask = { owner, fences: limits.handOversInARow, openEveryMs: keys.shared ? limits.openEveryMs : 0 };
  return insist(session, untilMs, () => session.engine.run(operations.release, keys, ask));
}

/** A little after the holder's lease is over; jitter so that not all come at once. */
function recheckMs(holderLeftMs: number, random: number): number {
  const ms = holderLeftMs < 0 ? limits.recheckMsMax : Math.min(holderLeftMs, limits.recheckMsMax);
  return ms + 1 + random * Math.min(50, 1 + ms / 10);
}

function foreignPollMs(polls: number, random: number): number {
  const ms = Math.min(limits.foreignPollMsMax, limits.foreignPollMsMin * 1.5 ** (polls - 1));
  return Math.max(limits.foreignPollMsMin, ms * (0.5 + random / 2));
}
