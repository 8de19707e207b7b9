import type { Timer } from '../base/clock.ts';
import { invalidArgument, LockstepError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { startWait } from '../base/waiting.ts';
import * as operations from '../operations/queue.ts';
import { type QueueLine, type QueueWaiter, retryMs } from './queue-line.ts';
import { toPart } from './queue-record.ts';
import { type TickOptions, type Ticks, ticksOf } from './ticks.ts';

/** When a message recurs, and what becomes of ticks that nobody was there for. */
export interface RepeatOptions extends TickOptions {
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
  const { missed = 'skip', signal } = options;
  const ticks = ticksOf(options);
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
    const recurrence = new Recurrence(line, { id, payload, ticks, missed }, ended);
  });
}

interface RecurrenceTerms {
  readonly id: string;
  readonly payload: string;
  readonly ticks: Ticks;
  readonly missed: 'skip' | 'last' | 'all';
}

class Recurrence implements QueueWaiter {
  readonly #line: QueueLine;
  readonly #terms: RecurrenceTerms;
  readonly #ended: (error?: Error) => void;
  readonly #waiter: string;
  /** The last tick that the store had: ms since 1970; '' for none. Not known at first. */
  #last: string | undefined;
  /** How far the clock here is ahead of the store's: ms. */
  #aheadMs = 0;
  #failures = 0;
  #timer: Timer | undefined;
  #over = false;

  constructor(line: QueueLine, terms: RecurrenceTerms, ended: (error?: Error) => void) {
    this.#line = line;
    this.#terms = terms;
    this.#ended = ended;
    this.#waiter = line.addConsumer(this, 1);
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

  /** First only asks what the store has, and what time it is there. */
  #turn(): void {
    const { id, payload, ticks } = this.#terms;
    const last = this.#last;
    const nowMs = this.#nowMs() - this.#aheadMs;
    // A clock that was set back does not repeat what was.
    const next = Math.max(ticks.latest(nowMs) ?? 0, Number(last ?? ''));
    const due = last === undefined || last === '' ? [] : this.#due(Number(last), next, nowMs);
    const messages = due.flatMap((tick) => [toPart(`${id}@${tick}`), payload]);
    const wanted = last === undefined ? '' : String(next);
    this.#line.run(operations.tick, [id, last ?? '', wanted, ...messages]).then(
      ([stored = '', storeMs]) => {
        this.#failures = 0;
        this.#aheadMs = this.#nowMs() - Number(storeMs);
        const isNews = stored === '' || (stored !== last && stored !== wanted);
        this.#last = stored;
        // Somebody else was here, or before: what that left is looked at once more.
        this.#in(isNews ? 0 : (ticks.after(Number(stored)) ?? Infinity) - Number(storeMs));
      },
      (error: unknown) => this.#failed(error as Error),
    );
  }

  #nowMs(): number {
    return Math.floor(this.#line.session.clock.wallUs() / 1_000);
  }

  /** The ticks behind `last` up to `latest` that are to be pushed. */
  #due(last: number, latest: number, nowMs: number): number[] {
    const { ticks, missed } = this.#terms;
    if (latest <= last) return [];
    if (missed === 'last') return [latest];
    if (missed === 'skip') {
      const pauseMs = (ticks.after(latest) ?? latest) - latest;
      return nowMs - latest <= Math.max(limits.queueTickLateMs, pauseMs / 10) ? [latest] : [];
    }
    const found: number[] = [];
    let tick: number | undefined = latest;
    while (tick !== undefined && tick > last && found.length < limits.queueTicksMax) {
      found.push(tick);
      tick = ticks.latest(tick - 1);
    }
    return found.toReversed();
  }

  #failed(error: Error): void {
    if (!(error instanceof LockstepError) || error.code !== 'UNAVAILABLE') return this.stop(error);
    this.#in(retryMs(this.#failures, this.#line.session.clock.random()));
    this.#failures += 1;
  }

  #in(ms: number): void {
    if (this.#over) return;
    const soonMs = Math.min(Math.max(0, ms), limits.queueTickLookMs);
    this.#timer = this.#line.session.clock.timer(soonMs, () => this.#turn());
  }
}
