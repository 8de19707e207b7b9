import { valueCodec, type ValueOptions } from '../../base/codec.ts';
import { type Duration, toMs } from '../../base/duration.ts';
import { invalidArgument } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { QueueNames } from '../../base/names.ts';
import { checkOptions } from '../../base/options.ts';
import type { Engine } from '../../engines/engine.ts';
import { type Delivery, HeldJob, type Job } from '../job.ts';
import { headFor, type PushOptions } from '../queue.ts';
import type { Attempt, Thing } from './attempt.ts';
import { give, type Messages } from './messages.ts';
import type { Place, Write } from './steps.ts';

/** A queue inside of a transaction: what is pushed is there when the transaction is committed, and never otherwise. */
export interface TransactionQueue<T> {
  readonly name: string;
  /**
   * Messages of one transaction keep the order of their pushes. One with an `id` that came within its window is left out.
   * The `capacity` of a queue does not hold it up: a commit can't wait for room.
   */
  push(item: T, options?: TransactionPushOptions): Promise<void>;
}

/** What a transaction must know of a queue that it pushes to. */
export interface TransactionQueueOptions<T> extends ValueOptions<T> {
  /** For how long a message keeps away others of its own `id`; default 1 hour. */
  deduplicate?: Duration;
}

/** How a message is pushed; nothing is waited for. */
export type TransactionPushOptions = Pick<PushOptions, 'delay' | 'priority' | 'id' | 'group'>;

/** The queue `name` at `place`, as one run of a body sees it. Throws `INVALID_ARGUMENT`. */
export function queueIn<T>(
  attempt: Attempt,
  name: string,
  place: Place,
  options: TransactionQueueOptions<T>,
): TransactionQueue<T> {
  return new QueueView(attempt, name, pushesTo(attempt, place, options));
}

/** What a run wants to push to the queue at `place`. Throws `INVALID_ARGUMENT`. */
export function pushesTo<T>(
  attempt: Attempt,
  place: Place,
  options: TransactionQueueOptions<T>,
): Messages<T, TransactionPushOptions> {
  checkOptions('the options of queue', options, queueOptions);
  const { deduplicate = limits.queueDuplicatesMs } = options;
  const windowMs = toMs('deduplicate', deduplicate, 0, limits.queueDelayMsMax);
  const traffic = trafficOf(attempt, place);
  const codec = valueCodec(options);
  return {
    what: place.what,
    told: (how) => headFor(how, pushOptions),
    text: (item) => codec.encode(place.what, item),
    put: (head, text) => traffic.push(windowMs, head, text),
  };
}

/** Acknowledges `job` with the commit. Rejects with `LEASE_LOST`, and `INVALID_ARGUMENT` for no job of this store and space. */
export function acknowledgeIn(
  attempt: Attempt,
  job: Job<unknown>,
  engine: Engine,
  space: string,
  more: unknown,
): Promise<void> {
  const work = (): void => {
    if (!(job instanceof HeldJob)) throw invalidArgument('job', job, 'a job, as work and consume of a queue give it');
    const delivery = job.asDelivery();
    if (delivery.engine !== engine || delivery.space !== space) {
      const where = `${engine.name}, space ${space}`;
      throw invalidArgument('job', job.id, `a job of the same store and space as the transaction (${where})`);
    }
    trafficOf(attempt, queuePlace(delivery.what, delivery.keys)).ack(job, delivery);
  };
  return attempt.call('ack', work, more);
}

/** Where a queue is, or a group of a topic. */
export function queuePlace(what: string, keys: QueueNames): Place {
  return { what, keys, kinds };
}

/** In the order of `queueAt` in operations/queue.ts. */
const kinds = 'hash +hash +list +zset +zset +zset +zset +hash +hash +hash +zset +zset +zset +zset'.split(' ');
const queueOptions: ReadonlySet<string> = new Set(['schema', 'codec', 'deduplicate']);
const pushOptions: ReadonlySet<string> = new Set(['delay', 'priority', 'id', 'group']);

class QueueView<T> implements TransactionQueue<T> {
  readonly name: string;
  readonly #attempt: Attempt;
  readonly #pushes: Messages<T, TransactionPushOptions>;

  constructor(attempt: Attempt, name: string, pushes: Messages<T, TransactionPushOptions>) {
    this.name = name;
    this.#attempt = attempt;
    this.#pushes = pushes;
  }

  push(item: T, options: TransactionPushOptions = {}, more?: unknown): Promise<void> {
    return give(this.#attempt, this.#pushes, item, options, more);
  }
}

function trafficOf(attempt: Attempt, place: Place): Traffic {
  return attempt.thing(place.keys[0]!, () => new Traffic(attempt, place));
}

/** What goes into a queue and what is done with, in the order of the calls. */
class Traffic implements Thing {
  readonly place: Place;
  readonly #attempt: Attempt;
  readonly #writes: Write[] = [];

  constructor(attempt: Attempt, place: Place) {
    this.#attempt = attempt;
    this.place = place;
  }

  push(windowMs: number, head: string, payload: string): void {
    const parameters = [String(windowMs), head, payload];
    this.#writes.push({ name: '', place: this.place, verb: 'queue.push', parameters });
  }

  /** Once, however often it is asked for. */
  ack(job: HeldJob<unknown>, { token, group }: Delivery): void {
    const { place } = this;
    const name = `${place.keys[0]!}\n${token}`;
    const read = { id: `queue.holds ${name}`, name, place, verb: 'queue.holds', parameters: [token] };
    if (this.#attempt.checks.has(read.id)) return;
    this.#attempt.checks.set(read.id, {
      read,
      over: () => job.lossOf('the transaction was not committed, as its lease was over. Nothing was written', 'lost'),
      committing: () => job.committing(),
      committed: (done) => job.committed(done),
    });
    this.#writes.push({ name, place, verb: 'queue.ack', parameters: [token, group] });
  }

  writes(): Write[] {
    return this.#writes;
  }

  left(): [] {
    return [];
  }
}
