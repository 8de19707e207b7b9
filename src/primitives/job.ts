import { type Duration, toMs } from '../base/duration.ts';
import { invalidArgument, LockstepError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { checkOptions } from '../base/options.ts';
import type { Instant } from '../engines/engine.ts';
import type { Hold, Loss } from '../session/leases.ts';
import { type MessageRecord, parseDelivered, toPart } from './queue-record.ts';

/** How a job is given back. */
export interface NackOptions {
  /** The message is delivered again after this long; default: at once. */
  delay?: Duration;
  /** For people: the dead letter keeps the last one. */
  reason?: string;
}

/**
 * One delivery of a message, held under a lease that is renewed until it is acknowledged or given back. All that end it
 * reject with `LEASE_LOST` where the lease was lost before: the message is somebody else's, and nothing was changed.
 */
export interface Job<T> extends AsyncDisposable {
  /** The id that its producer gave, or the one that the queue made. */
  readonly id: string;
  readonly data: T;
  /** How often it was delivered, this time included. */
  readonly deliveries: number;
  readonly group: string | undefined;
  /** When it was pushed: ms since 1970, by the store's clock. */
  readonly pushedAt: number;
  /** Aborts when the lease is lost, with the `LEASE_LOST` error as its reason. */
  readonly signal: AbortSignal;
  /** Done: the message is deleted. */
  ack(): Promise<void>;
  /** Not done: the message is delivered again, or dead after `maxDeliveries`. */
  nack(options?: NackOptions): Promise<void>;
  /** Gives the lease this length, from now and at each renewal; default: the queue's. */
  extend(lease?: Duration): Promise<void>;
  /** Gives the job back if it was neither acknowledged nor given back. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** What a transaction needs to acknowledge a job with its commit. */
export interface Delivery {
  readonly engine: unknown;
  readonly space: string;
  readonly queue: string;
  /** For messages: `queue "mails"`. */
  readonly what: string;
  /** As operations/queue.ts takes them. */
  readonly keys: readonly string[];
  readonly token: string;
  readonly group: string;
}

/** Who hears what comes of an acknowledgement: one of both. */
export interface Settling {
  done(job: HeldJob<unknown>): void;
  failed(job: HeldJob<unknown>, error: unknown): void;
}

/** What a job needs of the consumer that took it. */
export interface JobSource {
  readonly terms: { readonly leaseMs: number };
  readonly place: Omit<Delivery, 'token' | 'group'>;
  ack(job: HeldJob<unknown>, settling: Settling): void;
  nack(job: HeldJob<unknown>, delayMs: number, reason: string, uncounted: boolean): Promise<void>;
  extend(job: HeldJob<unknown>, leaseMs: number): Promise<void>;
  dropped(job: HeldJob<unknown>): void;
}

/** How its holder ended a job. */
type Ending = 'acknowledged' | 'given back';

const nackOptions: ReadonlySet<string> = new Set(['delay', 'reason']);

/** A job as its consumer sees it. */
export class HeldJob<T> implements Job<T> {
  readonly id: string;
  readonly data: T;
  readonly deliveries: number;
  readonly group: string | undefined;
  readonly pushedAt: number;
  /** See `TopicJob`. */
  readonly missed: number;
  readonly token: string;
  hold: Hold | undefined;
  /** When it was ended by its holder: until when its lease was valid then. */
  until: Instant | undefined;
  readonly #consumer: JobSource;
  #state: 'held' | 'lost' | Ending = 'held';
  #loss: LockstepError | undefined;
  #abort: AbortController | undefined;
  /** A commit that acknowledges it is on its way: what is heard of its lease meanwhile may come of that. */
  #committing = false;
  #heard: Loss['cause'] | undefined;

  constructor(consumer: JobSource, token: string, record: MessageRecord, data: T) {
    const { place, deliveries } = parseDelivered(token);
    this.#consumer = consumer;
    this.token = token;
    this.id = record.ownId === '' ? place : record.ownId;
    this.deliveries = deliveries;
    this.group = record.group === '' ? undefined : record.group;
    this.pushedAt = record.pushedAt;
    this.missed = record.missed;
    this.data = data;
  }

  /** Its group as the store has it. */
  get groupPart(): string {
    return this.group === undefined ? '' : toPart(this.group);
  }

  get active(): boolean {
    return this.#state === 'held';
  }

  /** Made when first asked for: most jobs are done before anybody does. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#loss !== undefined) this.#abort.abort(this.#loss);
    }
    return this.#abort.signal;
  }

  ack(): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail: (error: unknown) => void = reject;
      this.finish({ done: () => resolve(), failed: (_, error) => fail(error) });
    });
  }

  /** As `ack`, without a promise. Throws `LEASE_LOST` where it is not active. */
  finish(settling: Settling): void {
    this.settle('acknowledged');
    this.#consumer.ack(this, settling);
  }

  async nack(options: NackOptions = {}): Promise<void> {
    checkOptions('the options of nack', options, nackOptions);
    const { delay = 0, reason = '' } = options;
    const delayMs = toMs('delay', delay, 0, limits.queueDelayMsMax);
    if (typeof reason !== 'string') throw invalidArgument('reason', reason, 'text');
    this.settle('given back');
    await this.#consumer.nack(this, delayMs, reason, false);
  }

  async extend(lease?: Duration): Promise<void> {
    const leaseMs = lease === undefined ? this.#consumer.terms.leaseMs : leaseMsOf(lease);
    if (!this.active) throw this.#over('extended');
    await this.#consumer.extend(this, leaseMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.active) return;
    this.settle('given back');
    await this.#consumer.nack(this, 0, '', false).catch(ignoreLoss);
  }

  /** It is ended by its holder: once. Throws `LEASE_LOST`. */
  settle(how: Ending): void {
    if (!this.active) throw this.#over(how);
    this.#state = how;
    this.#consumer.dropped(this);
  }

  /** Its lease is over. */
  lose(cause: Loss['cause']): void {
    if (!this.active) return;
    if (this.#committing) {
      this.#heard ??= cause;
      return;
    }
    this.#state = 'lost';
    this.#loss = this.lossOf(`its lease is over: ${reasons[cause]}`, cause);
    this.#abort?.abort(this.#loss);
  }

  /** For a transaction, which settles it when it commits. Throws `LEASE_LOST`. */
  asDelivery(): Delivery {
    if (!this.active) throw this.#over('acknowledged');
    return { ...this.#consumer.place, token: this.token, group: this.groupPart };
  }

  /** A transaction is about to settle it. */
  committing(): void {
    this.#committing = true;
  }

  /** What came of that; false where it is not known. */
  committed(done: boolean): void {
    this.#committing = false;
    if (done && this.active) this.settle('acknowledged');
    else if (this.#heard !== undefined) this.lose(this.#heard);
  }

  lossOf(what: string, cause: string, then: string = 'stop working on it, it is delivered again'): LockstepError {
    const { queue, what: whose } = this.#consumer.place;
    return new LockstepError(
      'LEASE_LOST',
      `message ${JSON.stringify(this.id)} of ${whose}, delivery ${this.deliveries}: ${what}; ${then}`,
      { details: { queue, id: this.id, deliveries: this.deliveries, cause } },
    );
  }

  #over(how: string): LockstepError {
    if (this.#loss !== undefined) return this.#loss;
    const what = `it can't be ${how}, as it was ${this.#state} before`;
    return this.#state === 'acknowledged'
      ? this.lossOf(what, 'settled', 'it is done, and not delivered again')
      : this.lossOf(what, 'settled');
  }
}

/** The length of a job's lease. Throws `INVALID_ARGUMENT`. */
export function leaseMsOf(lease: Duration): number {
  return toMs('lease', lease, limits.leaseMsMin, limits.leaseMsMax);
}

/** Whoever has the message now will see to it. */
export function ignoreLoss(error: unknown): void {
  if (error instanceof LockstepError && (error.code === 'LEASE_LOST' || error.code === 'CLOSED')) return;
  throw error;
}

const reasons: Readonly<Record<Loss['cause'], string>> = {
  lost: 'the store gave it to somebody else or forgot it',
  expired: 'its renewal was not confirmed in time',
  maxHold: 'it was held for as long as it may be',
  forced: 'somebody took it by force',
  closed: 'its session was closed',
};
