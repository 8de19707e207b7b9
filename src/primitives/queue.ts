import { type ValueCodec, valueCodec, type ValueOptions } from '../base/codec.ts';
import { type Duration, toMs } from '../base/duration.ts';
import { invalidArgument, LockstepError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { checkName } from '../base/names.ts';
import { checkOptions } from '../base/options.ts';
import { checkWait, type WaitOptions } from '../base/waiting.ts';
import * as operations from '../operations/queue.ts';
import type { Session } from '../session/session.ts';
import { ambiguityOf } from './ambiguous.ts';
import { type Job, leaseMsOf } from './job.ts';
import { type QueueLine, queueLineOf } from './queue-line.ts';
import { type Message, type MessageKind, messageKinds, messagesOf } from './queue-messages.ts';
import { type Outgoing, Pushes } from './queue-push.ts';
import { headOf } from './queue-record.ts';
import { repeat, type RepeatOptions } from './queue-repeat.ts';
import { type BackOff, consume, type ConsumeOptions, type Source, work, type WorkOptions } from './queue-work.ts';

/** How a queue is used. Who pushes needs `capacity` and `deduplicate`, who consumes the rest. */
export interface QueueOptions<T> extends ValueOptions<T> {
  /** How long a consumer that is not heard of keeps its jobs; default 10 s. Leases of living consumers are renewed. */
  lease?: Duration;
  /** A message that was delivered so often without an acknowledgement is dead; default 5; `Infinity`: never. */
  maxDeliveries?: number;
  /**
   * How long a message whose handler failed waits for its next delivery; default 1 s, doubled each time up to 5 minutes. Where
   * a function throws, or returns what is no duration up to 366 days, `onError` of `work` hears of it, and the default holds.
   */
  backoff?: Duration | ((deliveries: number) => Duration);
  /** Most messages that are not dead; a push beyond that waits. Default: no bound. */
  capacity?: number;
  /** For how long a message keeps away others of its own `id`; default 1 hour; 0: not at all. */
  deduplicate?: Duration;
  /** A dead message of a group lets the next one pass (`park`, default), or holds up its group until it is seen to. */
  onPoison?: 'park' | 'block';
}

/** How a message is pushed. */
export interface PushOptions extends WaitOptions {
  /** It is delivered after this long at the earliest, by the store's clock. */
  delay?: Duration;
  /** From -100 to 100, higher ones first; default 0. */
  priority?: number;
  /** Another message of this id is not taken while its window lasts. */
  id?: string;
  /** Messages of one group are delivered one after the other, in their order; groups take turns. */
  group?: string;
}

/** What became of a message that was pushed. */
export interface Pushed {
  /** The id that was given, or the one that the queue made. */
  readonly id: string;
  /** A message of this id came before: this one was not taken. */
  readonly duplicate: boolean;
}

/** How many messages a queue has. */
export interface QueueSize {
  /** Due; those that wait behind others of their group are counted here too. */
  readonly ready: number;
  readonly delayed: number;
  /** Held by consumers. */
  readonly leased: number;
  readonly dead: number;
  readonly paused: boolean;
}

/** Which dead messages: those of these ids, or up to `limit` of those that died first. */
export interface DeadOptions {
  ids?: readonly string[];
  limit?: number;
}

/**
 * Messages from whoever pushes to whoever works, each at least once: one that was delivered and not acknowledged, as its
 * consumer failed or died, is delivered again. Order is by priority, then by arrival; with several consumers, or after a
 * failure, only groups are handled in order.
 *
 * All reject with `UNAVAILABLE` or `CLOSED` where the store can't be asked.
 */
export interface Queue<T> {
  readonly name: string;
  /**
   * Rejects with `TIMEOUT` where a bounded queue has no room within `timeout` (0: at once), and with `INVALID_VALUE`. Pushes
   * of one turn of the event loop are one step. Where the connection was lost before the reply it may have been pushed: with
   * an `id` it rejects with `UNAVAILABLE`, and may be pushed again; without one with `AMBIGUOUS`.
   */
  push(item: T, options?: PushOptions): Promise<Pushed>;
  /** Pushes several in their order: all in one step, unless they are many (500) or the queue is full. */
  pushAll(items: readonly T[], options?: Omit<PushOptions, 'id'>): Promise<Pushed[]>;
  /**
   * Gives messages to `handler` until `signal` aborts: acknowledged when it fulfils, delivered again after `backoff` when it
   * rejects. Rejects only where the queue can't be used at all, such as with `WRONG_KIND`.
   */
  work(handler: (job: Job<T>) => unknown, options?: WorkOptions): Promise<void>;
  /**
   * The jobs, one after the other. A job that was not acknowledged when the next one is asked for is given back. What comes
   * to an end, by `break` or by `signal`, gives back what it fetched ahead.
   */
  consume(options?: ConsumeOptions): AsyncIterableIterator<Job<T>>;
  /**
   * Pushes `item` at each tick of `every` or `cron`, with the id `ID@ms`, until `signal` aborts. Whoever else repeats this id, anywhere,
   * shares it: each tick is pushed once.
   */
  repeat(id: string, item: T, options: RepeatOptions): Promise<void>;
  size(): Promise<QueueSize>;
  /** Looks at the first messages (default 10) of one kind, in their order, and takes none. */
  peek(count?: number, kind?: MessageKind): Promise<Message<T>[]>;
  /** Delivers dead messages again, as if they were new: how many. */
  redrive(which?: DeadOptions): Promise<number>;
  /** Deletes dead messages: how many. */
  discard(which?: DeadOptions): Promise<number>;
  /** No more is delivered, to nobody, until `resume`. What is held stays held. False if it was so already. */
  pause(): Promise<boolean>;
  resume(): Promise<boolean>;
  /**
   * Deletes all that is ready or delayed: how many. What is held, dead, or behind a message of its group that is held or
   * dead, stays.
   */
  drain(): Promise<number>;
}

/** The handle of a queue; made without I/O. Throws `INVALID_ARGUMENT`. */
export function createQueue<T>(session: Session, name: string, options: QueueOptions<T> = {}): Queue<T> {
  checkOptions('the options of queue', options, queueOptions);
  const what = `queue ${JSON.stringify(name)}`;
  return new StoredQueue(session, { name, what, line: () => queueLineOf(session, name) }, options);
}

/** A group of a topic as a queue, to which nobody pushes. Throws `INVALID_ARGUMENT`. */
export function queueOn<T>(session: Session, where: QueuePlace, options: QueueOptions<T>): Queue<T> {
  return new StoredQueue(session, where, options);
}

/** Which queue it is, and the session's part in it. */
interface QueuePlace {
  readonly name: string;
  readonly what: string;
  line(): QueueLine;
}

const queueOptions: ReadonlySet<string> = new Set([
  'schema',
  'codec',
  'lease',
  'maxDeliveries',
  'backoff',
  'capacity',
  'deduplicate',
  'onPoison',
]);
const pushOptions: ReadonlySet<string> = new Set(['delay', 'priority', 'id', 'group', 'timeout', 'signal']);
const workOptions: ReadonlySet<string> = new Set(['concurrency', 'signal', 'onError']);
const consumeOptions: ReadonlySet<string> = new Set(['prefetch', 'signal']);
const repeatOptions: ReadonlySet<string> = new Set(['every', 'cron', 'timeZone', 'missed', 'signal']);
const deadOptions: ReadonlySet<string> = new Set(['ids', 'limit']);
const noOptions: PushOptions = {};

class StoredQueue<T> implements Queue<T> {
  readonly name: string;
  readonly #session: Session;
  readonly #place: QueuePlace;
  readonly #codec: ValueCodec<T>;
  readonly #terms: Source<T>['terms'];
  readonly #backOff: BackOff;
  readonly #rules: { capacity: number; windowMs: number };
  #pushing: Pushes | undefined;

  constructor(session: Session, place: QueuePlace, options: QueueOptions<T>) {
    const { lease = limits.leaseMsDefault, backoff, capacity, deduplicate = limits.queueDuplicatesMs } = options;
    const { maxDeliveries = limits.queueDeliveriesDefault, onPoison = 'park' } = options;
    this.name = place.name;
    this.#place = place;
    this.#session = session;
    this.#codec = valueCodec(options);
    if (onPoison !== 'park' && onPoison !== 'block') throw invalidArgument('onPoison', onPoison, "'park' or 'block'");
    if (capacity !== undefined) checkInteger('capacity', capacity, limits.queueCapacityMax);
    if (maxDeliveries !== Infinity) checkInteger('maxDeliveries', maxDeliveries, limits.queueDeliveriesMax);
    const most = maxDeliveries === Infinity ? 0 : maxDeliveries;
    this.#terms = { leaseMs: leaseMsOf(lease), maxDeliveries: most, block: onPoison === 'block' };
    this.#rules = { capacity: capacity ?? 0, windowMs: toMs('deduplicate', deduplicate, 0, limits.queueDelayMsMax) };
    this.#backOff = backOffOf(place.what, backoff);
  }

  async push(item: T, options: PushOptions = noOptions): Promise<Pushed> {
    const head = headFor(options);
    checkWait(options);
    const payload = this.#codec.encode(this.#where(options.id), item);
    // No await where there is nothing to wait for: messages go out in the order of their calls.
    const message = { head, payload: typeof payload === 'string' ? payload : await payload };
    try {
      return pushed(await this.#pushes.push(message, options), options.id);
    } catch (error) {
      throw options.id === undefined ? this.#ambiguityOf(error) : error;
    }
  }

  async pushAll(items: readonly T[], options: Omit<PushOptions, 'id'> = noOptions): Promise<Pushed[]> {
    if (!Array.isArray(items)) throw invalidArgument('items', items, 'an array of messages');
    const head = headFor(options);
    checkWait(options);
    if ((options as PushOptions).id !== undefined) throw idOfSeveral((options as PushOptions).id);
    const messages: Outgoing[] = [];
    // All are checked before the first one goes out.
    for (const item of items as readonly T[]) {
      const payload = this.#codec.encode(this.#where(undefined), item);
      messages.push({ head, payload: typeof payload === 'string' ? payload : await payload });
    }
    const pushes = this.#pushes;
    try {
      const ids = await Promise.all(messages.map((message) => pushes.push(message, options)));
      return ids.map((id) => pushed(id, undefined));
    } catch (error) {
      throw this.#ambiguityOf(error);
    }
  }

  /** A message without an id of its own would be another one if it were pushed again. */
  #ambiguityOf(error: unknown): unknown {
    return ambiguityOf(error, `queue ${JSON.stringify(this.name)}: the push, which has no id of its own,`);
  }

  async work(handler: (job: Job<T>) => unknown, options: WorkOptions = {}): Promise<void> {
    if (typeof handler !== 'function') throw invalidArgument('handler', handler, 'a function of a job');
    checkOptions('the options of work', options, workOptions);
    const { onError } = options;
    if (onError !== undefined && typeof onError !== 'function') throw invalidArgument('onError', onError, 'a function');
    this.#session.assertOpen();
    await work(this.#source, handler, options);
  }

  consume(options: ConsumeOptions = {}): AsyncIterableIterator<Job<T>> {
    checkOptions('the options of consume', options, consumeOptions);
    this.#session.assertOpen();
    return consume(this.#source, options);
  }

  async repeat(id: string, item: T, options: RepeatOptions): Promise<void> {
    checkName('id', id);
    checkOptions('the options of repeat', options, repeatOptions);
    const payload = await this.#codec.encode(this.#where(id), item);
    await repeat(this.#line, id, payload, options);
  }

  async size(): Promise<QueueSize> {
    const [ready, delayed, leased, dead, paused] = await this.#line.run(operations.sizes, []);
    return { ready: ready!, delayed: delayed!, leased: leased!, dead: dead!, paused: paused === 1 };
  }

  async peek(count = 10, kind: MessageKind = 'ready'): Promise<Message<T>[]> {
    checkInteger('count', count, limits.queuePeekMax);
    if (!messageKinds.includes(kind)) throw invalidArgument('kind', kind, `one of: ${messageKinds.join(', ')}`);
    return messagesOf(this.#line, kind, count, (id, payload) => this.#codec.decode(this.#where(id), payload));
  }

  redrive(which: DeadOptions = {}): Promise<number> {
    return this.#revive('redrive', which);
  }

  discard(which: DeadOptions = {}): Promise<number> {
    return this.#revive('discard', which);
  }

  async pause(): Promise<boolean> {
    return (await this.#line.run(operations.pause, ['1'])) === 1;
  }

  async resume(): Promise<boolean> {
    return (await this.#line.run(operations.pause, ['0'])) === 1;
  }

  async drain(): Promise<number> {
    let total = 0;
    for (;;) {
      const done = await this.#line.run(operations.drain, [String(limits.queueMoveBatch)]);
      if (done === 0) return total;
      total += done;
    }
  }

  async #revive(how: 'redrive' | 'discard', which: DeadOptions): Promise<number> {
    checkOptions(`the options of ${how}`, which, deadOptions);
    const { ids, limit = Infinity } = which;
    if (limit !== Infinity) checkInteger('limit', limit, Number.MAX_SAFE_INTEGER);
    if (ids !== undefined) {
      if (!Array.isArray(ids)) throw invalidArgument('ids', ids, 'an array of ids');
      const places = await this.#placesOf(new Set(ids as readonly string[]));
      return places.length === 0 ? 0 : this.#line.run(operations.revive, [how, '0', ...places]);
    }
    // Not more than are dead now: one that dies again meanwhile stays.
    let left = Math.min(limit, (await this.size()).dead);
    let total = 0;
    while (left > 0) {
      const done = await this.#line.run(operations.revive, [how, String(Math.min(left, limits.queueMoveBatch))]);
      if (done === 0) break;
      total += done;
      left -= done;
    }
    return total;
  }

  /** Where the dead messages of these ids are. */
  async #placesOf(ids: ReadonlySet<string>): Promise<string[]> {
    const all = await messagesOf(this.#line, 'dead', limits.queuePeekMax, () => undefined);
    return all.filter(({ id }) => ids.has(id)).map(({ place }) => place);
  }

  get #line(): QueueLine {
    this.#session.assertOpen();
    return this.#place.line();
  }

  get #pushes(): Pushes {
    this.#pushing ??= new Pushes(this.#line, this.#rules);
    return this.#pushing;
  }

  get #source(): Source<T> {
    const decode = (id: string, payload: string): T | Promise<T> => this.#codec.decode(this.#where(id), payload);
    return { line: this.#line, terms: this.#terms, backOff: this.#backOff, decode };
  }

  #where(id: string | undefined): string {
    const { what } = this.#place;
    return id === undefined || id === '' ? what : `${what}, message ${JSON.stringify(id)}`;
  }
}

/** The head of a message that is pushed so. Throws `INVALID_ARGUMENT`, also for options that are not `known`. */
export function headFor(options: PushOptions, known: ReadonlySet<string> = pushOptions): string {
  if (options === noOptions) return '';
  checkOptions('the options of push', options, known);
  const { delay = 0, priority = 0, id, group } = options;
  return headOf({ priority, delayMs: toMs('delay', delay, 0, limits.queueDelayMsMax), id, group });
}

function pushed(place: string, id: string | undefined): Pushed {
  return { id: id ?? place, duplicate: place === '' };
}

function idOfSeveral(id: unknown): LockstepError {
  return invalidArgument('id', id, 'left out of pushAll, as all would have it: push those that have ids one by one');
}

function backOffOf(what: string, backoff: QueueOptions<unknown>['backoff']): BackOff {
  const msOf = (duration: Duration): number => toMs('backoff', duration, 0, limits.queueDelayMsMax);
  if (typeof backoff === 'function') {
    return (deliveries, tell) => {
      try {
        return msOf(backoff(deliveries));
      } catch (cause) {
        tell(badBackOff(what, deliveries, cause));
        return defaultBackOff(deliveries);
      }
    };
  }
  if (backoff === undefined) return defaultBackOff;
  const ms = msOf(backoff);
  return () => ms;
}

function defaultBackOff(deliveries: number): number {
  const { queueBackOffMs, queueBackOffFactor, queueBackOffMsMax } = limits;
  return Math.min(queueBackOffMsMax, queueBackOffMs * queueBackOffFactor ** (deliveries - 1));
}

function badBackOff(what: string, deliveries: number, cause: unknown): LockstepError {
  const why = cause instanceof Error ? cause.message : 'it threw';
  const message = `the backoff function of ${what} failed for delivery ${deliveries}: ${why}; the message waits as long as by default`;
  return new LockstepError('INVALID_ARGUMENT', message, { cause, details: { argument: 'backoff' } });
}

function checkInteger(name: string, value: unknown, max: number): void {
  if (!Number.isSafeInteger(value) || (value as number) < 1 || (value as number) > max) {
    throw invalidArgument(name, value, `an integer from 1 to ${max}`);
  }
}
