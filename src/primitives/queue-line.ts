import { limits } from '../base/limits.ts';
import { LockstepError } from '../base/errors.ts';
import { lineKeysOf, type QueueNames, queueKey } from '../base/names.ts';
import { instantNow, isOver } from '../base/validity.ts';
import type { Instant } from '../engines/engine.ts';
import * as ordinary from '../operations/line.ts';
import * as operations from '../operations/queue.ts';
import type { BatchOperation, Reply } from '../operations/tx.ts';
import type { Receiver, Session } from '../session/session.ts';
import { Batch } from './batch.ts';
import { acksOf, type Ended, type MessageRecord, parseRecord, staleOf } from './queue-record.ts';

/** What waits for mail about a queue. */
export interface QueueWaiter {
  /** Ask the store anew. */
  wake(): void;
  close(): Promise<void>;
}

/** One session's part in a queue, whatever the number of handles: its mail, and its acknowledgements in batches. */
export class QueueLine implements Receiver {
  readonly session: Session;
  readonly name: string;
  /** For messages: `queue "mails"`. */
  readonly what: string;
  readonly keys: QueueNames;
  readonly #consumers: Map<string, QueueWaiter> = new Map();
  readonly #pushers: Set<QueueWaiter> = new Set();
  readonly #acks: Batch<Ended, boolean>;
  readonly #lineKeys: readonly string[];
  #lastConsumer = 0;
  #lastClaim = 0;
  /** How often mail said that there is room, or mail may have been lost that did. */
  rooms = 0;
  /** So many claims are not tried with few keys, as one was refused. */
  #fullClaims = 0;
  /** When leases that are over were looked for last: monotonic ms. */
  #lookedMs = -Infinity;

  constructor(session: Session, name: string, keys: QueueNames, what: string = `queue ${JSON.stringify(name)}`) {
    this.session = session;
    this.name = name;
    this.what = what;
    this.keys = keys;
    this.#lineKeys = lineKeysOf(keys);
    this.#acks = new Batch({
      itemsMax: limits.queueSettleBatch,
      send: async (jobs) => {
        const stale = staleOf(await this.run(operations.ack, acksOf(jobs)));
        return jobs.map(({ token }) => !stale.has(token));
      },
    });
  }

  run<R extends Reply>(operation: BatchOperation<R>, args: readonly string[]): Promise<R> {
    return this.session.engine.runBatch(operation, this.keys, args);
  }

  /** args: the first eight of `operations.claim`, and what it acknowledges. */
  claim(args: readonly string[], done: readonly string[]): Promise<readonly string[]> {
    const [alone = '0', ...tokens] = done;
    const nowMs = this.session.clock.monotonicMs();
    if (this.#fullClaims > 0 || Number(alone) < tokens.length || nowMs - this.#lookedMs > limits.queueLookMs) {
      this.#fullClaims = Math.max(0, this.#fullClaims - 1);
      return this.#claimWithAll(args, done, nowMs);
    }
    const [consumer, number, max, leaseMs, , , , ring] = args as [string, string, string, string, ...string[]];
    const asked = [consumer, number, max, leaseMs, ring!, ...tokens];
    return this.session.engine.runBatch(ordinary.claim, this.#lineKeys, asked).then((reply) => {
      if (reply.length === 0) {
        this.#fullClaims = limits.queueFullClaims;
        return this.#claimWithAll(args, done, nowMs);
      }
      if (reply.at(-3) === '0') this.#lookedMs = -Infinity; // a lease is over
      return reply;
    });
  }

  #claimWithAll(args: readonly string[], done: readonly string[], nowMs: number): Promise<readonly string[]> {
    this.#lookedMs = nowMs;
    return this.run(operations.claim, [...args, ...done]);
  }

  /** Pushes messages without heads, into a queue without bound: their ids. */
  async append(payloads: readonly string[]): Promise<readonly string[]> {
    const first = await this.session.engine.runBatch(ordinary.append, this.#lineKeys.slice(0, 4), payloads);
    if (first !== '') return idsFrom(Number(first), payloads.length);
    const [id, count] = await this.run(operations.push, ['0', '0', '', '0', ...payloads]);
    return idsFrom(Number(id), Number(count));
  }

  /** args: see `operations.leave`. */
  leave(args: readonly string[]): Promise<readonly number[]> {
    return this.run(operations.leave, args);
  }

  record(stored: string): MessageRecord {
    return parseRecord(stored);
  }

  /** The name of a consumer in the store, which holds `most` messages at once: `session:most.number`. */
  addConsumer(consumer: QueueWaiter, most: number): string {
    this.#lastConsumer += 1;
    const id = `${this.session.info.id}:${most}.${this.#lastConsumer}`;
    this.#consumers.set(id, consumer);
    return id;
  }

  removeConsumer(id: string): void {
    this.#consumers.delete(id);
  }

  /** The number of a claim: given once in a session. */
  claimNumber(): string {
    this.#lastClaim += 1;
    return String(this.#lastClaim);
  }

  awaitRoom(pusher: QueueWaiter): void {
    this.#pushers.add(pusher);
  }

  noLongerAwaitRoom(pusher: QueueWaiter): void {
    this.#pushers.delete(pusher);
  }

  /**
   * `done`: true if the message was still its holder's, whose lease is surely valid until `until`. `failure`: of a first try
   * that was made before.
   */
  ack(
    job: Ended,
    until: Instant,
    done: (held: boolean) => void,
    failed: (error: unknown) => void,
    failure?: Error,
  ): void {
    const again = (error: unknown): void => {
      this.insist(until, () => this.#acks.add(job), error as Error).then(done, failed);
    };
    if (failure === undefined) this.#acks.ask(job, done, again);
    else again(failure);
  }

  /**
   * Ends a delivery, again where the store's reply was lost, as long as the lease lasts: until then nobody else can have
   * ended it, so that a store that knows nothing of it any more was told by an earlier try. `failure`: of a first try that
   * was made before.
   */
  async insist(until: Instant, send: () => Promise<boolean>, failure?: Error): Promise<boolean> {
    let error = failure;
    for (let attempt = 0; ; attempt++) {
      if (error !== undefined) {
        const isPassing = error instanceof LockstepError && error.code === 'UNAVAILABLE';
        if (!isPassing || this.session.closing || isOver(until, instantNow(this.session.clock))) throw error;
        await this.pause(retryMs(attempt, this.session.clock.random()));
      }
      try {
        return (await send()) || (error !== undefined && !isOver(until, instantNow(this.session.clock)));
      } catch (cause) {
        error = cause as Error;
      }
    }
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.session.clock.timer(ms, resolve));
  }

  told(verb: string, subject: string): void {
    if (verb === 'ready') this.#consumers.get(subject)?.wake();
    else if (verb === 'room') this.#roomFor();
  }

  resync(): void {
    for (const consumer of this.#consumers.values()) consumer.wake();
    this.rooms += 1;
    for (const pusher of this.#pushers) pusher.wake();
  }

  async close(): Promise<void> {
    const all = [...this.#consumers.values(), ...this.#pushers];
    await Promise.allSettled(all.map((waiter) => waiter.close()));
  }

  /** Whoever waited here may have given up meanwhile: then another session's turn has come. */
  #roomFor(): void {
    this.rooms += 1;
    if (this.#pushers.size === 0) this.session.inBackground(this.run(operations.pass, ['room']));
    for (const pusher of this.#pushers) pusher.wake();
  }
}

/** The one line of a session for a queue. */
export function queueLineOf(session: Session, name: string): QueueLine {
  const keys = session.keys.queue(name);
  const key = keys[queueKey]!;
  let line = session.receivers.get(key) as QueueLine | undefined;
  if (line === undefined) session.receivers.set(key, (line = new QueueLine(session, name, keys)));
  return line;
}

/** Mail about a queue that has no line here, or that a dead session did not get: true if it was that. */
export function handleQueueMail(session: Session, verb: string, key: string, dead: boolean): boolean {
  if (verb !== 'ready' && verb !== 'room') return false;
  const prefix = session.keys.queue('')[queueKey]!;
  if (!key.startsWith(prefix)) return false;
  const keys = session.keys.queue(key.slice(prefix.length));
  if (dead || verb === 'room') session.inBackground(session.engine.runBatch(operations.pass, keys, [verb]));
  return true;
}

/** The ids of so many messages whose places follow each other. */
export function idsFrom(first: number, count: number): string[] {
  return Array.from({ length: count }, (_, i) => String(first + i));
}

/** The pause before another try: ms. */
export function retryMs(attempt: number, random: number): number {
  return Math.min(limits.queueRetryMsMax, 10 * 2 ** attempt) * (0.5 + random / 2);
}
