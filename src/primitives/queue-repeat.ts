import type { Timer } from '../base/clock.ts';
import { type Duration, toMs } from '../base/duration.ts';
import { invalidArgument, LockstepError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { startWait } from '../base/waiting.ts';
import * as operations from '../operations/queue.ts';
import { type QueueLine, type QueueWaiter, retryMs } from './queue-line.ts';
import { toPart } from './queue-record.ts';

/** When a message recurs, and what becomes of ticks that nobody was there for. */
export interface RepeatOptions {
  /** A message at each multiple of this, counted from 1970: `'1h'` is on the hour. At least 100 ms. */
  every: Duration;
  /**
   * What becomes of ticks that came while nobody repeated: none of them is pushed (`skip`, default), the last one, or all,
   * up to the last 1,000.
   */
  missed?: 'skip' | 'last' | 'all';
  /** When it aborts, `repeat` resolves. */
  signal?: AbortSignal;
}

/**
 * Pushes a message at each tick. Several may do so with one id: the store remembers the last tick, and takes each once.
 */
export function repeat(line: QueueLine, id: string, payload: string, options: RepeatOptions): Promise<void> {
  const { every, missed = 'skip', signal } = options;
  const everyMs = toMs('every', every, limits.queueEveryMsMin, limits.timerMsMax);
  if (missed !== 'skip' && missed !== 'last' && missed !== 'all') {
    throw invalidArgument('missed', missed, "'skip', 'last' or 'all'");
  }
  if (signal?.aborted === true) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const ended = (error?: Error): void => {
      wait?.end();
      if (error === undefined) resolve();
      else reject(error);
    };
    const wait = startWait('repeat', { signal }, line.session.clock, () => recurrence.stop());
    const recurrence = new Recurrence(line, { id, payload, everyMs, missed }, ended);
  });
}

interface RecurrenceTerms {
  readonly id: string;
  readonly payload: string;
  readonly everyMs: number;
  readonly missed: 'skip' | 'last' | 'all';
}

class Recurrence implements QueueWaiter {
  readonly #line: QueueLine;
  readonly #terms: RecurrenceTerms;
  readonly #ended: (error?: Error) => void;
  readonly #waiter: string;
  /** The last tick that the store had: ms since 1970; '' where it is not known. */
  #last = '';
  #failures = 0;
  #timer: Timer | undefined;
  #over = false;

  constructor(line: QueueLine, terms: RecurrenceTerms, ended: (error?: Error) => void) {
    this.#line = line;
    this.#terms = terms;
    this.#ended = ended;
    this.#waiter = line.addConsumer(this);
    line.session.enter();
    this.#turn();
  }

  wake(): void {}

  async close(): Promise<void> {
    this.stop();
  }

  stop(error?: Error): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer?.cancel();
    this.#line.removeConsumer(this.#waiter);
    this.#line.session.exit();
    this.#ended(error);
  }

  #turn(): void {
    const { id, payload, everyMs } = this.#terms;
    const nowMs = Math.floor(this.#line.session.clock.wallUs() / 1_000);
    const latest = nowMs - (nowMs % everyMs);
    const due = this.#last === '' ? [] : this.#due(Number(this.#last), latest, nowMs);
    const messages = due.flatMap((tick) => [toPart(`${id}@${tick}`), payload]);
    // A clock that was set back does not repeat what was.
    const next = String(Math.max(latest, Number(this.#last)));
    this.#line.run(operations.tick, [id, this.#last, next, ...messages]).then(
      (stored) => {
        this.#failures = 0;
        const isNews = stored !== this.#last && stored !== next;
        this.#last = stored;
        // Somebody else was here, or before: what that left is looked at once more.
        this.#in(isNews ? 0 : Number(stored) + everyMs - nowMs);
      },
      (error: unknown) => this.#failed(error as Error),
    );
  }

  /** The ticks behind `last` up to `latest` that are to be pushed. */
  #due(last: number, latest: number, nowMs: number): number[] {
    const { everyMs, missed } = this.#terms;
    if (latest <= last) return [];
    if (missed === 'last') return [latest];
    if (missed === 'skip') return nowMs - latest <= Math.max(limits.queueTickLateMs, everyMs / 10) ? [latest] : [];
    const ticks: number[] = [];
    const first = Math.max(last - (last % everyMs) + everyMs, latest - everyMs * (limits.queueTicksMax - 1));
    for (let tick = first; tick <= latest; tick += everyMs) ticks.push(tick);
    return ticks;
  }

  #failed(error: Error): void {
    if (!(error instanceof LockstepError) || error.code !== 'UNAVAILABLE') return this.stop(error);
    this.#in(retryMs(this.#failures, this.#line.session.clock.random()));
    this.#failures += 1;
  }

  #in(ms: number): void {
    if (this.#over) return;
    this.#timer = this.#line.session.clock.timer(Math.max(0, ms), () => this.#turn());
  }
}
