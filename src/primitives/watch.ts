import type { Timer } from '../base/clock.ts';
import { type Duration, toMs } from '../base/duration.ts';
import { isLockstepError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { checkOptions } from '../base/options.ts';
import { startWait } from '../base/waiting.ts';
import * as operations from '../operations/watch.ts';
import { closedError, type Receiver, type Session } from '../session/session.ts';

/** How something is watched. */
export interface WatchOptions {
  /** When it aborts, the watch ends: the call that waits rejects with the signal's own reason. */
  signal?: AbortSignal;
  /**
   * Writes through lockstep are told at once. What else writes to the store, such as redis-cli, is noticed after this
   * long at the latest: 50 ms to 60 s, default 30 s.
   */
  recheck?: Duration;
}

/** What one watch looks at. */
export interface Watched<T> {
  /** For messages: `value "config"`. */
  readonly subject: string;
  /** The key of operations/watch.ts. */
  readonly watchers: string;
  /**
   * What is new to this watch, in as many parts as it takes. `changes`: what was written since the last reading, as
   * `changed` was told; undefined: that is not known, so that everything may have been. Calls `again` with the ms
   * after which it will have changed by itself, if it will.
   */
  read(changes: readonly string[] | undefined, again: (ms: number) => void): AsyncIterable<T>;
}

/**
 * Gives what there is, then what is new, for as long as somebody asks: states that come while nobody does are
 * skipped, and writers wait for nobody. Goes on where it was after a time without connection. Only a call that waits keeps the
 * process alive. Calls reject with `CLOSED`, the signal's reason, what reading rejects with, and `UNAVAILABLE` if the
 * store was never reached; that ends the watch, as `return` does.
 */
export function watch<T>(session: Session, watched: Watched<T>, options: WatchOptions = {}): AsyncIterableIterator<T> {
  checkOptions('the options of watch', options, watchOptions);
  const { recheck = limits.watchRecheckMs, signal } = options;
  const recheckMs = toMs('recheck', recheck, limits.watchRecheckMsMin, limits.watchRecheckMsMax);
  return new Watch(session, watched, recheckMs, signal);
}

export const watchOptions: ReadonlySet<string> = new Set(['signal', 'recheck']);

/** A call of `next` that was not answered yet. */
interface Call {
  done(): void;
  fail(reason: unknown): void;
}

class Watch<T> implements AsyncIterableIterator<T> {
  readonly #session: Session;
  readonly #watched: Watched<T>;
  readonly #recheckMs: number;
  readonly #signal: AbortSignal | undefined;
  /** Calls are answered one after the other. */
  #line: Promise<unknown> = Promise.resolve();
  #call: Call | undefined;
  #ended = false;

  /** The version that it saw last. */
  #seen = 0;
  /** There may be something new; it may be anything, not only what the store remembers. */
  #stale = true;
  #everything = true;
  /** It has reached the store. */
  #begun = false;
  #reading: AsyncIterator<T> | undefined;
  /** When what was read changes by itself: ms of the monotonic clock. */
  #againMs: number | undefined;
  #wake: (() => void) | undefined;

  constructor(session: Session, watched: Watched<T>, recheckMs: number, signal: AbortSignal | undefined) {
    this.#session = session;
    this.#watched = watched;
    this.#recheckMs = recheckMs;
    this.#signal = signal;
  }

  next(): Promise<IteratorResult<T>> {
    const answer = this.#line.then(() => this.#answer());
    this.#line = answer.catch(() => {});
    return answer;
  }

  return(): Promise<IteratorResult<T>> {
    this.#end((call) => call.done());
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return this;
  }

  /** Something was written, or hints may have been lost. */
  poke(): void {
    this.#stale = true;
    this.#wake?.();
  }

  get subject(): string {
    return this.#watched.subject;
  }

  fail(reason: unknown): void {
    this.#end((call) => call.fail(reason));
  }

  #answer(): Promise<IteratorResult<T>> {
    return new Promise((resolve, reject) => {
      if (this.#ended) return resolve({ done: true, value: undefined });
      const session = this.#session;
      const { subject, watchers } = this.#watched;
      if (session.closing) throw closedError(subject);
      const wait = startWait(subject, { signal: this.#signal }, session.clock, (reason) => this.fail(reason));
      session.enter();
      const settle = (how: () => void): void => {
        if (this.#call !== call) return;
        this.#call = undefined;
        wait?.end();
        session.exit();
        how();
      };
      const call: Call = {
        done: () => settle(() => resolve({ done: true, value: undefined })),
        // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- the caller's own reason, whatever it is
        fail: (reason) => settle(() => reject(reason)),
      };
      this.#call = call;
      watchesOf(session, watchers).add(this);
      this.#find().then(
        (found) => settle(() => resolve(found)),
        (error: unknown) => this.fail(error),
      );
    });
  }

  async #find(): Promise<IteratorResult<T>> {
    for (;;) {
      if (this.#ended) return { done: true, value: undefined };
      try {
        const found = await this.#part();
        this.#begun = true;
        if (found !== undefined) return found;
        await this.#news();
      } catch (error) {
        this.#reading = undefined;
        this.#stale = true;
        this.#everything = true;
        if (!this.#begun || this.#ended || !isLockstepError(error, 'UNAVAILABLE')) throw error;
        await this.#pause(limits.watchRetryMs);
      }
    }
  }

  /** The next part of what is new, if there is any. */
  async #part(): Promise<IteratorResult<T> | undefined> {
    while (this.#reading !== undefined || this.#stale) {
      this.#reading ??= await this.#look();
      const part = await this.#reading.next();
      if (part.done !== true) return part;
      this.#reading = undefined;
    }
    return undefined;
  }

  /** First says that it looks, then reads: what is written meanwhile wakes it again. */
  async #look(): Promise<AsyncIterator<T>> {
    this.#stale = false;
    this.#againMs = undefined;
    const { clock, engine, info } = this.#session;
    const { watchers } = this.#watched;
    const ask = { session: info.id, seen: this.#seen, ms: limits.watchersMs };
    const [version, complete, ...changes] = await engine.run(operations.look, { watchers }, ask);
    const everything = this.#everything || complete !== 1;
    this.#everything = false;
    this.#seen = Number(version);
    const again = (ms: number): void => {
      this.#againMs = clock.monotonicMs() + ms;
    };
    return this.#watched.read(everything ? undefined : (changes as string[]), again)[Symbol.asyncIterator]();
  }

  /** Waits until there may be something new. */
  async #news(): Promise<void> {
    if (this.#stale || this.#ended) return;
    const { clock } = this.#session;
    const timers: Timer[] = [
      clock.timer(this.#recheckMs, () => {
        this.#everything = true;
        this.poke();
      }),
    ];
    if (this.#againMs !== undefined) {
      timers.push(clock.timer(Math.max(0, this.#againMs - clock.monotonicMs()), () => this.poke()));
    }
    await new Promise<void>((wake) => (this.#wake = wake));
    for (const timer of timers) timer.cancel();
    this.#wake = undefined;
  }

  /** Waits before it tries again, or until the connection is there again. */
  async #pause(ms: number): Promise<void> {
    const timer = this.#session.clock.timer(ms, () => this.#wake?.());
    await new Promise<void>((wake) => (this.#wake = wake));
    timer.cancel();
    this.#wake = undefined;
  }

  #end(tell: (call: Call) => void): void {
    if (!this.#ended) {
      this.#ended = true;
      leave(this.#session, this.#watched.watchers, this);
      this.#reading?.return?.().catch(() => {}); // it may be in the middle of a page
      this.#wake?.();
    }
    if (this.#call !== undefined) tell(this.#call);
  }
}

type Member = Pick<Watch<unknown>, 'subject' | 'poke' | 'fail'>;

/** The watches of one thing in a session: the store knows the session only. */
class Watches implements Receiver {
  readonly all: Set<Member> = new Set();

  add(one: Member): void {
    this.all.add(one);
  }

  told(): void {
    for (const one of this.all) one.poke();
  }

  resync(): void {
    this.told();
  }

  async close(): Promise<void> {
    for (const one of this.all) one.fail(closedError(`watching ${one.subject}`));
  }
}

function watchesOf(session: Session, watchers: string): Watches {
  let watches = session.receivers.get(watchers) as Watches | undefined;
  if (watches === undefined) session.receivers.set(watchers, (watches = new Watches()));
  return watches;
}

/** The last one tells the store. */
function leave(session: Session, watchers: string, one: Member): void {
  const watches = session.receivers.get(watchers) as Watches | undefined;
  if (watches === undefined || !watches.all.delete(one) || watches.all.size > 0) return;
  session.receivers.delete(watchers);
  session.inBackground(session.engine.run(operations.forget, { watchers }, { session: session.info.id }));
}
