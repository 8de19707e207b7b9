import { AsyncLocalStorage } from 'node:async_hooks';
import type { Timer } from '../base/clock.ts';
import { LockstepError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { queueLeasesKey } from '../base/names.ts';
import { type Instant, instantNow, validFor } from '../base/validity.ts';
import * as operations from '../operations/queue.ts';
import type { Loss } from '../session/leases.ts';
import { Batch } from './batch.ts';
import { type Delivery, HeldJob, type JobSource, type Settling } from './job.ts';
import { acksOf, staleOf } from './queue-record.ts';
import { type QueueLine, type QueueWaiter, retryMs } from './queue-line.ts';

/** On what terms a consumer takes messages. */
export interface ConsumerTerms {
  readonly leaseMs: number;
  /** 0: no limit. */
  readonly maxDeliveries: number;
  /** A dead message holds up its group. */
  readonly block: boolean;
}

/** What becomes of what a consumer takes. */
export interface ConsumerOutcome<T> {
  /** How many jobs are wanted at once at most. */
  readonly most: number;
  /** How many more jobs are wanted now. Whoever makes it more says so by `wake`, in the same turn. */
  room(): number;
  decode(id: string, payload: string): T | Promise<T>;
  job(job: HeldJob<T>): void;
  /** A message that can't be decoded. */
  unreadable(job: HeldJob<undefined>, error: Error): void;
  /** The store does not answer: it is asked again. */
  trouble(error: Error): void;
  /** Nothing comes any more: it was stopped, or it failed for good. */
  ended(error: Error | undefined): void;
}

/**
 * Takes messages out of a queue, as many at a time as it has room for. While it has room it is known to the store as one
 * that waits, and is woken by whoever pushes; as a wake-up may be lost it also looks by itself, seldom. What is
 * acknowledged meanwhile goes with the step that takes more.
 *
 * The consumers of a queue stand in a ring, in which each watches the session of the next: when that dies, what it held
 * comes back at once, where its death can be seen.
 */
export class Consumer<T> implements QueueWaiter, JobSource {
  readonly terms: ConsumerTerms;
  readonly #line: QueueLine;
  readonly #id: string;
  readonly #outcome: ConsumerOutcome<T>;
  readonly #held: Set<HeldJob<unknown>> = new Set();
  /** Messages that are being decoded. */
  #decoding = 0;
  readonly #nacks: Batch<readonly string[], number>;
  /** A step may begin in a transaction's body, or under a lock: what comes of it is no part of that. */
  readonly #inOwnContext: ReturnType<typeof AsyncLocalStorage.snapshot> = AsyncLocalStorage.snapshot();
  /** What is to be acknowledged with the next step, and who hears of it. */
  #done: HeldJob<unknown>[] = [];
  #heard: Settling[] = [];
  /** More is to be claimed. */
  #wanted = false;
  #scheduled = false;
  #claiming: Promise<void> | undefined;
  #recheck: Timer | undefined;
  /** When it looks by itself, and when the timer says so, which may be earlier: monotonic ms. */
  #recheckMs = Infinity;
  #timerMs = Infinity;
  #failures = 0;
  /** As the store had it last: whoever comes or goes changes it. */
  #ring = '';
  #watched = '';
  #unwatch: (() => void) | undefined;
  #stopping: Promise<void> | undefined;

  constructor(line: QueueLine, terms: ConsumerTerms, outcome: ConsumerOutcome<T>) {
    this.terms = terms;
    this.#line = line;
    this.#outcome = outcome;
    this.#id = line.addConsumer(this, outcome.most);
    this.#nacks = new Batch({
      itemsMax: limits.queueSettleBatch,
      send: (jobs) => line.run(operations.nack, [...this.#limit, ...jobs.flat()]),
    });
    line.session.enter();
    this.wake();
  }

  get place(): Omit<Delivery, 'token' | 'group'> {
    const { session, name, what, keys } = this.#line;
    return { engine: session.engine, space: session.space, queue: name, what, keys };
  }

  /** Asks for messages at the end of this turn. */
  wake(): void {
    this.#wanted = true;
    this.#schedule();
  }

  /** Takes no more; what is held stays held. Idempotent; never rejects. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop(undefined);
    return this.#stopping;
  }

  /** Its session ends: what is held is over. */
  async close(): Promise<void> {
    const stopped = this.stop();
    const held = [...this.#held];
    for (const job of held) this.#lost(job, 'closed');
    await Promise.allSettled(
      held.map((job) => this.#nacks.add(this.#nackArgs(job, 0, 'its session was closed', false))),
    );
    await stopped;
  }

  // What jobs ask for

  ack(job: HeldJob<unknown>, settling: Settling): void {
    this.#done.push(job);
    this.#heard.push(settling);
    this.#schedule();
  }

  async nack(job: HeldJob<unknown>, delayMs: number, reason: string, uncounted: boolean): Promise<void> {
    const args = this.#nackArgs(job, delayMs, reason, uncounted);
    const done = await this.#line.insist(this.#untilOf(job), async () => (await this.#nacks.add(args)) !== 0);
    if (!done) throw job.lossOf('it was not given back, as its lease was over', 'lost');
  }

  async extend(job: HeldJob<unknown>, leaseMs: number): Promise<void> {
    const { session, keys } = this.#line;
    const leases = keys[queueLeasesKey]!;
    const sentAt = instantNow(session.clock);
    const [renewed] = await session.engine.runBatch(operations.renew, [leases], [job.token, String(leaseMs)]);
    if (renewed !== 1) this.#lost(job, 'lost');
    if (!job.active) throw job.lossOf('it was not extended, as its lease was over', 'lost');
    if (job.hold !== undefined) session.leases.drop(job.hold);
    this.#keep(job, leaseMs, validFor(sentAt, leaseMs));
  }

  /** A job was ended by its holder. */
  dropped(job: HeldJob<unknown>): void {
    if (job.hold !== undefined) {
      job.until = this.#line.session.leases.validUntil(job.hold);
      this.#line.session.leases.drop(job.hold);
    }
    this.#held.delete(job);
  }

  // Claiming

  #schedule(): void {
    if (this.#scheduled || this.#claiming !== undefined) return;
    this.#scheduled = true;
    // After all that other promises of this turn lead to, so that what they are done with can join.
    process.nextTick(() => {
      this.#scheduled = false;
      this.#inOwnContext(() => this.#turn());
    });
  }

  #turn(): void {
    const mayClaim = this.#wanted && this.#stopping === undefined;
    const max = mayClaim ? limits.queueSettleBatch : this.#done.length;
    const done = this.#done.splice(0, max);
    const heard = this.#heard.splice(0, max);
    if (mayClaim) this.#claim(done, heard);
    else for (const [i, job] of done.entries()) this.#settle(job, heard[i]!);
  }

  #claim(done: readonly HeldJob<unknown>[], heard: readonly Settling[]): void {
    this.#recheckMs = Infinity;
    this.#wanted = false;
    const { session } = this.#line;
    const max = Math.max(0, Math.min(limits.queueClaimBatch, this.#room));
    const sentAt = instantNow(session.clock);
    const { leaseMs } = this.terms;
    const args = [this.#id, this.#line.claimNumber(), String(max), String(leaseMs), ...this.#limit, '1', this.#ring];
    this.#claiming = this.#line
      .claim(args, done.length === 0 ? [] : acksOf(done))
      .then(
        (reply) => {
          this.#settled(done, heard, reply.at(-1)!);
          this.#claimed(reply, max, sentAt);
        },
        (error: unknown) => {
          for (const [i, job] of done.entries()) this.#settle(job, heard[i]!, error as Error);
          throw error;
        },
      )
      .catch((error: unknown) => this.#failed(error as Error))
      .finally(() => {
        this.#claiming = undefined;
        if (this.#wanted || this.#done.length > 0) this.#schedule();
      });
  }

  #settled(done: readonly HeldJob<unknown>[], heard: readonly Settling[], tokens: string): void {
    const stale = staleOf(tokens);
    for (const [i, job] of done.entries()) {
      if (stale.has(job.token)) heard[i]!.failed(job, ackLate(job));
      else heard[i]!.done(job);
    }
  }

  /** Acknowledges a job by itself. `failure`: of a first try that was made before. */
  #settle(job: HeldJob<unknown>, settling: Settling, failure?: Error): void {
    const told = (held: boolean): void => {
      if (held) settling.done(job);
      else settling.failed(job, ackLate(job));
    };
    const failed = (error: unknown): void => settling.failed(job, error);
    this.#line.ack(job, this.#untilOf(job), told, failed, failure);
  }

  #claimed(reply: readonly string[], max: number, sentAt: Instant): void {
    this.#failures = 0;
    const dueMs = Number(reply.at(-3));
    this.#hear(reply.at(-2)!);
    for (let i = 0; i + 4 < reply.length; i += 2) this.#take(reply[i]!, reply[i + 1]!, sentAt);
    const taken = (reply.length - 3) / 2;
    // A full claim may be one of several: there can be room for more than a step takes.
    if (taken === max && max > 0 && this.#room > 0) this.#wanted = true;
    this.#lookIn(taken < max && dueMs >= 0 ? dueMs : limits.queueRecheckMs);
  }

  #lookIn(ms: number): void {
    const { clock } = this.#line.session;
    const isDue = ms < limits.queueRecheckMs;
    const jitterMs = isDue ? limits.queueDueJitterMs : limits.queueRecheckJitterMs;
    if (this.#stopping !== undefined) return;
    const nowMs = clock.monotonicMs();
    this.#recheckMs = nowMs + Math.min(ms, limits.queueRecheckMs) + clock.random() * jitterMs;
    if (this.#recheckMs < this.#timerMs) this.#setTimer(nowMs);
  }

  /** Claims move the time of the next look: a timer that is set comes early then, and is set anew. */
  #setTimer(nowMs: number): void {
    const { clock } = this.#line.session;
    this.#recheck?.cancel();
    this.#timerMs = this.#recheckMs;
    this.#recheck = clock.timer(Math.max(1, this.#timerMs - nowMs), () => {
      this.#timerMs = Infinity;
      const laterMs = clock.monotonicMs();
      if (this.#recheckMs <= laterMs) this.wake();
      else if (this.#recheckMs < Infinity) this.#setTimer(laterMs);
    });
  }

  #failed(error: Error): void {
    if (!(error instanceof LockstepError) || error.code !== 'UNAVAILABLE') {
      this.#stopping ??= this.#stop(error);
      return;
    }
    if (this.#failures === 0) this.#outcome.trouble(error);
    this.#lookIn(retryMs(this.#failures, this.#line.session.clock.random()));
    this.#failures += 1;
  }

  #take(token: string, stored: string, sentAt: Instant): void {
    const record = this.#line.record(stored);
    let data: T | Promise<T>;
    try {
      data = this.#outcome.decode(record.ownId, record.payload);
    } catch (error) {
      return this.#unreadable(token, stored, sentAt, error as Error);
    }
    if (!(data instanceof Promise)) return this.#begin(new HeldJob<T>(this, token, record, data), sentAt);
    this.#decoding += 1;
    const decoded = data.then(
      (value) => {
        this.#decoding -= 1;
        this.#begin(new HeldJob<T>(this, token, record, value), sentAt);
      },
      (error: Error) => {
        this.#decoding -= 1;
        this.#unreadable(token, stored, sentAt, error);
      },
    );
    this.#line.session.inBackground(decoded);
  }

  #begin(job: HeldJob<T>, sentAt: Instant): void {
    const { leaseMs } = this.terms;
    this.#held.add(job);
    this.#keep(job, leaseMs, validFor(sentAt, leaseMs));
    if (this.#stopping === undefined) this.#outcome.job(job);
    else this.giveBack(job);
  }

  #unreadable(token: string, stored: string, sentAt: Instant, error: Error): void {
    const job = new HeldJob<undefined>(this, token, this.#line.record(stored), undefined);
    this.#held.add(job);
    this.#keep(job, this.terms.leaseMs, validFor(sentAt, this.terms.leaseMs));
    this.#outcome.unreadable(job, error);
  }

  /** Gives back a job that nobody began: the delivery does not count. */
  giveBack(job: HeldJob<T>): void {
    if (!job.active) return;
    job.settle('given back');
    this.#line.session.inBackground(this.nack(job, 0, '', true));
  }

  #keep(job: HeldJob<unknown>, leaseMs: number, until: Instant): void {
    const { session, keys } = this.#line;
    job.hold = session.leases.keep(keys[queueLeasesKey]!, job.token, leaseMs, until, 0, (loss) =>
      this.#lost(job, loss.cause),
    );
  }

  #lost(job: HeldJob<unknown>, cause: Loss['cause']): void {
    if (!this.#held.delete(job)) return;
    if (job.hold !== undefined) this.#line.session.leases.drop(job.hold);
    job.lose(cause);
  }

  #untilOf(job: HeldJob<unknown>): Instant {
    return job.until ?? { monotonicMs: 0, wallMs: 0 };
  }

  get #room(): number {
    return this.#outcome.room() - this.#decoding;
  }

  get #limit(): [maxDeliveries: string, block: string] {
    return [String(this.terms.maxDeliveries), this.terms.block ? '1' : '0'];
  }

  #nackArgs(job: HeldJob<unknown>, delayMs: number, reason: string, uncounted: boolean): string[] {
    const text = reason.slice(0, limits.queueReasonLengthMax).replaceAll(/\p{Cs}/gu, '\ufffd');
    return [job.token, job.groupPart, String(delayMs), uncounted ? '1' : '0', text];
  }

  // The ring

  /** `ring`: `number:next`, or '' where it is as it was. */
  #hear(ring: string): void {
    if (ring === '') return;
    const end = ring.indexOf(':');
    this.#ring = ring.slice(0, end);
    this.#watch(ring.slice(end + 1));
  }

  #watch(next: string): void {
    if (this.#watched === next || this.#stopping !== undefined) return;
    this.#unwatch?.();
    this.#watched = next;
    const { session } = this.#line;
    const [other = ''] = next.split(':', 1);
    this.#unwatch = undefined;
    if (other === '' || other === session.info.id) return;
    this.#unwatch = session.engine.watch(other, () => {
      if (this.#stopping === undefined) session.inBackground(this.#bury(next, other));
    });
  }

  /** What a dead session held comes back; then another one is next in the ring. */
  async #bury(consumer: string, session: string): Promise<void> {
    let from = 0;
    while (from >= 0) [from = -1] = await this.#line.leave([consumer, String(from), ...this.#limit, '1']);
    this.#line.session.forget(session);
    this.wake();
  }

  async #stop(error: Error | undefined): Promise<void> {
    this.#recheck?.cancel();
    this.#unwatch?.();
    await Promise.resolve(); // `stopping` is set
    if (error === undefined) await this.#claiming;
    await this.#line.leave([this.#id, '0', ...this.#limit, '0']).catch(() => {}); // its place in the line is only a hint
    this.#line.removeConsumer(this.#id);
    this.#line.session.exit();
    this.#outcome.ended(error);
  }
}

function ackLate(job: HeldJob<unknown>): LockstepError {
  return job.lossOf('it was not acknowledged, as its lease was over', 'lost');
}
