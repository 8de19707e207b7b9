import { AsyncLocalStorage } from 'node:async_hooks';
import { invalidArgument } from '../base/errors.ts';
import { startWait } from '../base/waiting.ts';
import { limits } from '../base/limits.ts';
import { type HeldJob, ignoreLoss, type Job, type Settling } from './job.ts';
import { Consumer, type ConsumerTerms } from './queue-consumer.ts';
import type { QueueLine } from './queue-line.ts';

/** How jobs are handled: how many at a time, until when, and who hears what goes wrong. */
export interface WorkOptions {
  /** Jobs that are handled at the same time; default 1. */
  concurrency?: number;
  /** When it aborts, no more is taken; `work` resolves when the handlers that run have ended. */
  signal?: AbortSignal;
  /**
   * Hears of what a handler threw, of leases that were lost (`LEASE_LOST`), of messages that can't be read
   * (`INVALID_VALUE`), of a `backoff` that fails (`INVALID_ARGUMENT`), and once when the store stops answering
   * (`UNAVAILABLE`, without a job). What it throws is the program's own uncaught error.
   */
  onError?: (error: unknown, job?: Job<unknown>) => void;
}

/** How jobs are taken one by one. */
export interface ConsumeOptions {
  /** Jobs that are fetched ahead of the one that is worked on; default 0. */
  prefetch?: number;
  /** When it aborts, the iteration ends. */
  signal?: AbortSignal;
}

/** How long a message whose handler failed waits for its next delivery: ms. Does not throw; `tell` hears what went wrong. */
export type BackOff = (deliveries: number, tell: (error: unknown) => void) => number;

/** What a queue gives those who consume it. */
export interface Source<T> {
  readonly line: QueueLine;
  readonly terms: ConsumerTerms;
  readonly backOff: BackOff;
  decode(id: string, payload: string): T | Promise<T>;
}

/** Gives each job to `handler` until `signal` aborts: `Queue.work`. */
export function work<T>(
  source: Source<T>,
  handler: (job: Job<T>) => unknown,
  { concurrency = 1, signal, onError = ignore }: WorkOptions,
): Promise<void> {
  checkCount('concurrency', concurrency, 1);
  if (signal?.aborted === true) return Promise.resolve();
  const inOwnContext = AsyncLocalStorage.snapshot();
  return new Promise((resolve, reject) => {
    /** Handlers that run, and jobs that are being given back. */
    let running = 0;
    /** Acknowledgements on their way. */
    let ending = 0;
    let over: { error: Error | undefined } | undefined;
    const tell = (error: unknown, job?: Job<unknown>): void => queueMicrotask(() => inOwnContext(onError, error, job));
    const finish = (): void => {
      if (over === undefined || running + ending > 0) return;
      wait?.end();
      if (over.error === undefined) resolve();
      else reject(over.error);
    };
    const ended = (): void => {
      running -= 1;
      consumer.wake();
      finish();
    };
    const fail = (job: HeldJob<unknown>, error: unknown): void => {
      tell(error, job);
      failed(source, job, error, tell)
        .catch((late: unknown) => tell(late, job))
        .then(ended, ended);
    };
    const settled = (): void => {
      ending -= 1;
      finish();
    };
    const settling: Settling = {
      done: settled,
      failed(job, error) {
        tell(error, job);
        settled();
      },
    };
    const handled = (job: HeldJob<unknown>): void => {
      if (job.active) {
        ending += 1;
        job.finish(settling);
      }
      ended();
    };
    const run = (job: HeldJob<unknown>, body: () => unknown): void => {
      running += 1;
      try {
        Promise.resolve(body()).then(
          () => handled(job),
          (error: unknown) => fail(job, error),
        );
      } catch (error) {
        fail(job, error);
      }
    };
    const wait = startWait('work', { signal }, source.line.session.clock, () => void consumer.stop());
    const consumer = new Consumer<T>(source.line, source.terms, {
      most: concurrency,
      room: () => concurrency - running,
      decode: source.decode,
      job: (job) => run(job, () => handler(job)),
      unreadable: (job, error) => run(job, () => Promise.reject(error)),
      trouble: tell,
      ended: (error) => {
        over = { error };
        finish();
      },
    });
  });
}

/** The jobs one after the other: `Queue.consume`. */
export async function* consume<T>(
  source: Source<T>,
  { prefetch = 0, signal }: ConsumeOptions,
): AsyncGenerator<Job<T>, undefined> {
  checkCount('prefetch', prefetch, 0);
  if (signal?.aborted === true) return;
  const ready: HeldJob<T>[] = [];
  let over: { error: Error | undefined } | undefined;
  let news: () => void = ignore;
  let asked = 1;
  let current: HeldJob<T> | undefined;
  const consumer: Consumer<T> = new Consumer<T>(source.line, source.terms, {
    most: prefetch + 1,
    room: () => prefetch + asked - ready.length,
    decode: source.decode,
    job(job) {
      ready.push(job);
      news();
    },
    unreadable: (job, error) => source.line.session.inBackground(failed(source, job, error, ignore)),
    trouble: ignore,
    ended(error) {
      over = { error };
      news();
    },
  });
  const wait = startWait('consume', { signal }, source.line.session.clock, () => void consumer.stop());
  try {
    for (;;) {
      while (ready.length === 0 && over === undefined) await new Promise<void>((resolve) => (news = resolve));
      const job = ready.shift();
      if (over !== undefined || job === undefined) break;
      if (!job.active) continue; // lost while it waited here
      asked = 0;
      current = job;
      yield job;
      await job[Symbol.asyncDispose]();
      asked = 1;
      consumer.wake();
    }
    if (over?.error !== undefined) throw over.error;
  } finally {
    wait?.end();
    await current?.[Symbol.asyncDispose]();
    for (const job of ready) consumer.giveBack(job);
    await consumer.stop();
  }
}

/** Gives back a job whose handler failed. */
async function failed(
  source: Pick<Source<unknown>, 'backOff'>,
  job: HeldJob<unknown>,
  error: unknown,
  tell: (error: unknown, job: Job<unknown>) => void,
): Promise<void> {
  if (!job.active) return;
  const delay = source.backOff(job.deliveries, (trouble) => tell(trouble, job));
  await job.nack({ delay, reason: reasonOf(error) }).catch(ignoreLoss);
}

/** Whatever was thrown: not everything can be made text. */
function reasonOf(error: unknown): string {
  try {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  } catch {
    return 'something was thrown that is no text';
  }
}

function checkCount(name: string, count: unknown, min: number): void {
  const max = limits.queueConcurrencyMax;
  if (!Number.isInteger(count) || (count as number) < min || (count as number) > max) {
    throw invalidArgument(name, count, `an integer from ${min} to ${max}`);
  }
}

const ignore = (): void => {};
