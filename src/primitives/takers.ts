import type { Timer } from '../base/clock.ts';
import { isLockstepError, LockstepError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { ListNames } from '../base/names.ts';
import { startWait, type Wait, type WaitOptions } from '../base/waiting.ts';
import * as operations from '../operations/list.ts';
import { closedError, type Receiver, type Session } from '../session/session.ts';
import { backOffMs, insist, isPassing } from './insist.ts';

/** The end of a list from which elements are taken. */
export type Side = 'front' | 'back';

/**
 * Waits for an element of a list, which is this caller's alone when it resolves. Where it rejects, an element that was
 * handed over meanwhile goes back. `where` is for messages: `list "jobs"`.
 */
export function takeFrom(
  session: Session,
  where: string,
  keys: ListNames,
  side: Side,
  options: WaitOptions,
): Promise<string> {
  return new Promise((resolve, reject) => {
    session.assertOpen();
    const wait = startWait(`taking from ${where}`, options, session.clock, (reason) => {
      // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- the caller's own reason, whatever it is
      if (taker.cancel()) reject(reason);
    });
    const taker = new Taker(takersOf(session, keys), where, side, wait, { got: resolve, failed: reject });
    taker.send();
  });
}

/** Deals with mail about lists that no taker here expects; other mail goes where it went before. */
export function handleMailOfTakers(session: Session): void {
  const { unexpected, keys } = session;
  session.unexpected = (verb, subject, key, dead) => {
    if (!key.startsWith(keys.lists)) unexpected(verb, subject, key, dead);
    else if (verb === 'granted') bringBack(session, keys.list(key.slice(keys.lists.length)), subject);
  };
}

/** Brings back what was handed to a session that is dead, or to a taker of this one that is no more. */
function bringBack(session: Session, keys: ListNames, token: string): void {
  leave(session, keys, { token, confirming: 0, element: '' }, () => true);
}

/** Takes a token out of the line, or brings back what it was handed, as long as the store may know of it. */
function leave(session: Session, keys: ListNames, ask: operations.Leave, mayBeKnown: () => boolean): void {
  const { clock } = session;
  let closeMs = Infinity;
  const send = (): Promise<unknown> => {
    const now = clock.monotonicMs();
    if (session.closing) closeMs = Math.min(closeMs, now + limits.takeCloseMs);
    return mayBeKnown() && now < closeMs ? session.engine.run(operations.leave, keys, ask) : Promise.resolve();
  };
  session.inBackground(insist(session, clock.monotonicMs() + limits.takeSettleMs, send));
}

/** All who take from one list in a session: its mail comes here. */
class Takers implements Receiver {
  readonly session: Session;
  readonly keys: ListNames;
  readonly byToken: Map<string, Taker> = new Map();

  constructor(session: Session, keys: ListNames) {
    this.session = session;
    this.keys = keys;
  }

  told(verb: string, token: string, _waitedMs: number, element: string): void {
    if (verb !== 'granted') return;
    const taker = this.byToken.get(token);
    if (taker === undefined) bringBack(this.session, this.keys, token);
    else taker.granted(element);
  }

  resync(): void {
    for (const taker of this.byToken.values()) taker.resync();
  }

  async close(): Promise<void> {
    for (const taker of this.byToken.values()) taker.close();
  }

  drop(token: string): void {
    this.byToken.delete(token);
    const { receivers } = this.session;
    if (this.byToken.size === 0 && receivers.get(this.keys.list) === this) receivers.delete(this.keys.list);
  }
}

function takersOf(session: Session, keys: ListNames): Takers {
  const known = session.receivers.get(keys.list) as Takers | undefined;
  if (known !== undefined) return known;
  const made = new Takers(session, keys);
  session.receivers.set(keys.list, made);
  return made;
}

interface TakeOutcome {
  got(element: string): void;
  failed(error: Error): void;
}

/**
 * One task that waits for an element. It asks by its token, again whenever a hint may have been lost; when it was handed
 * an element, it says so to the store, and only when that was heard the element is its own.
 */
class Taker {
  readonly #line: Takers;
  readonly #session: Session;
  readonly #where: string;
  readonly #side: Side;
  readonly #wait: Wait | undefined;
  readonly #outcome: TakeOutcome;
  #token = '';
  #state: 'asking' | 'settling' | 'over' = 'asking';
  /** What it was handed. */
  #element = '';
  /** The store has it in its line. */
  #queued = false;
  /** Asks by its token that the store has heard, or may hear yet. */
  #asks = 0;
  #onItsWay = 0;
  /** Mail may have been lost since the reply that is on its way was made. */
  #isOld = false;
  #timer: Timer | undefined;
  /** Since when the store does not answer, and how often it was asked since: monotonic ms. */
  #silentSince = 0;
  #attempts = 0;

  constructor(line: Takers, where: string, side: Side, wait: Wait | undefined, outcome: TakeOutcome) {
    this.#line = line;
    this.#session = line.session;
    this.#where = where;
    this.#side = side;
    this.#wait = wait;
    this.#outcome = outcome;
    this.#session.enter();
    this.#renew();
  }

  send(): void {
    this.#timer?.cancel();
    const ask = { token: this.#token, wait: this.#wait?.once === true ? 0 : 1 };
    const { keys } = this.#line;
    this.#asks += 1;
    this.#onItsWay += 1;
    this.#session.engine.run(operations.take, keys, ask).then(
      ([verdict, found]) => {
        if (ask.token !== this.#token) return;
        this.#onItsWay -= 1;
        if (this.#state !== 'asking') return;
        this.#attempts = 0;
        if (verdict === 'taken') this.granted(String(found));
        else if (verdict === 'empty') this.#fail(this.#emptyError());
        else this.#waitForMail(found === 1);
      },
      (error: unknown) => {
        if (ask.token !== this.#token) return;
        this.#onItsWay -= 1;
        if (wasRefused(error)) this.#asks -= 1;
        if (this.#state === 'asking') this.#unanswered(error as Error, this.#queued);
      },
    );
  }

  /** The store handed it this element. */
  granted(element: string): void {
    if (this.#state !== 'asking') return;
    this.#state = 'settling';
    this.#element = element;
    this.#attempts = 0;
    this.#confirm();
  }

  /** Nobody waits for it any more. True if it had not ended; what it was handed goes back. */
  cancel(): boolean {
    if (this.#state === 'over') return false;
    const ask = { token: this.#token, confirming: this.#state === 'settling' ? 1 : 0, element: this.#element };
    this.#end();
    leave(this.#session, this.#line.keys, ask, () => this.#asks > 0);
    return true;
  }

  /**
   * Mail may have been lost, also before the reply that is on its way came, which is waited for: a second ask that came after
   * what the first one led to would take an element for nobody.
   */
  resync(): void {
    if (this.#onItsWay > 0) this.#isOld = true;
    else if (this.#state === 'asking' && this.#queued) this.send();
  }

  close(): void {
    this.#fail(closedError(`taking from ${this.#where}`));
  }

  #confirm(): void {
    const { keys } = this.#line;
    this.#session.engine.run(operations.confirm, keys, { token: this.#token }).then(
      (isMine) => {
        if (this.#state !== 'settling') return;
        if (isMine === 1) {
          this.#end();
          this.#outcome.got(this.#element);
        } else this.#again();
      },
      (error: unknown) => {
        if (this.#state === 'settling') this.#unanswered(error as Error, true);
      },
    );
  }

  /** The store took it for dead, and brought the element back: it joins the line anew. */
  #again(): void {
    this.#line.byToken.delete(this.#token);
    this.#state = 'asking';
    this.#queued = false;
    this.#attempts = 0;
    this.#renew();
    this.send();
  }

  #renew(): void {
    this.#asks = this.#onItsWay = 0;
    this.#token = `${this.#session.token(0)}:${this.#side}`;
    this.#line.byToken.set(this.#token, this);
  }

  #waitForMail(isFirst: boolean): void {
    this.#queued = true;
    if (this.#isOld) {
      this.#isOld = false;
      return this.send();
    }
    const ms = isFirst ? limits.takeRecheckMs : limits.takeRecheckMsMax;
    this.#in(ms * (0.75 + this.#session.clock.random() / 2), () => this.send());
  }

  /** The store did not answer. What it may know of goes on for some time, the rest fails at once. */
  #unanswered(error: Error, isKnown: boolean): void {
    const now = this.#session.clock.monotonicMs();
    if (this.#attempts === 0) this.#silentSince = now;
    if (!isKnown || !isPassing(error) || now - this.#silentSince > limits.takeSettleMs) {
      this.#fail(error);
      return;
    }
    this.#attempts += 1;
    const pauseMs = backOffMs(this.#attempts) * (0.5 + this.#session.clock.random() / 2);
    this.#in(pauseMs, () => (this.#state === 'settling' ? this.#confirm() : this.send()));
  }

  #in(ms: number, then: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#session.clock.timer(ms, then);
  }

  #fail(error: Error): void {
    if (this.cancel()) this.#outcome.failed(error);
  }

  #end(): void {
    this.#state = 'over';
    this.#timer?.cancel();
    this.#wait?.end();
    this.#line.drop(this.#token);
    this.#session.exit();
  }

  #emptyError(): LockstepError {
    return new LockstepError('TIMEOUT', `${this.#where} is empty, and the take was not to wait`, {
      details: { timeoutMs: 0 },
    });
  }
}

/** It was never carried out, and never will be. */
function wasRefused(error: unknown): boolean {
  return isLockstepError(error) && error.details['applied'] === 'no';
}
