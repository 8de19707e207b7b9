import { invalidArgument, LockstepError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { CounterNames } from '../base/names.ts';
import type { Engine } from '../engines/engine.ts';
import * as operations from '../operations/counter.ts';
import type { Session } from '../session/session.ts';
import { orAmbiguous } from './ambiguous.ts';
import { type Condition, conditionOf, type WriteOptions } from './guard.ts';
import { arithmeticOf, type Arithmetic, exactly, type Integer } from './integers.ts';
import { watch, type WatchOptions } from './watch.ts';

/** What a counter counts, and how far. */
export interface CounterOptions<N extends Integer = number> {
  /** An add that would get below is refused; at most 0. Default: -(2^53 - 1); of bigints -2^63. */
  min?: N;
  /** An add that would get beyond is refused; at least 0. Default: 2^53 - 1; of bigints 2^63 - 1. */
  max?: N;
  /** Counts in bigints of 64 bits. */
  bigint?: N extends bigint ? true : false;
}

export const counterOptions: ReadonlySet<string> = new Set(['min', 'max', 'bigint']);

/**
 * An integer that everybody counts with; 0 where nobody did.
 *
 * Calls on one handle take effect in the order in which they were made. All reject with `INVALID_VALUE` when the store
 * holds something else than such an integer, and with `UNAVAILABLE` or `CLOSED`; those that write also with
 * `LEASE_LOST` where their guard is over, and with `AMBIGUOUS` where the connection to a server was lost before the
 * reply: the write may have happened, and is not sent again.
 */
export interface Counter<N extends Integer = number> {
  readonly name: string;
  /**
   * Adds `by` (default 1) and resolves to the value right after that: no two adds of 1 get the same, in any process.
   * Rejects with `INVALID_VALUE`, and adds nothing, where the sum would be beyond `min` or `max`. What is beyond already
   * (someone else has other bounds, or none) may come nearer.
   */
  add(by?: N, options?: WriteOptions): Promise<N>;
  /** As `add`, but resolves to undefined where the sum would be beyond `min` or `max`. */
  tryAdd(by?: N, options?: WriteOptions): Promise<N | undefined>;
  get(): Promise<N>;
  /** Sets the value, which is between `min` and `max`; resolves to the one that it replaced. */
  set(value: N, options?: WriteOptions): Promise<N>;
  /** Sets the value to 0; resolves to the one that was there: nothing that was counted is lost in between. */
  getAndReset(options?: WriteOptions): Promise<N>;
  /** Sets the value to `value` if it is `expected`; true if it was. */
  compareAndSet(expected: N, value: N, options?: WriteOptions): Promise<boolean>;
  /**
   * The value now, then each that differs from the one before, for as long as it is asked: values that came and went
   * meanwhile are skipped.
   */
  watch(options?: WatchOptions): AsyncIterableIterator<N>;
}

/**
 * The counter at `keys`. One handle is to be shared by all of a session: calls that are made while a step is on its way
 * are summed up and go together in the next. Throws `INVALID_ARGUMENT` for bounds that are none.
 */
export function createCounter<N extends Integer = number>(
  session: Session,
  name: string,
  keys: CounterNames,
  options: CounterOptions<NoInfer<N>> = {},
): Counter<N> {
  const integers = arithmeticOf<N>(options.bigint);
  return new CoalescedCounter(session, name, keys, integers, boundsOf(integers, options));
}

/** What the counter's value may be. */
export interface Bounds<N> {
  readonly min: N;
  readonly max: N;
}

/** Calls that go to the store as one step. */
interface Batch<N> {
  /** What each call adds; 0 for a `get`. */
  readonly parts: N[];
  sum: N;
  /** The lowest and the highest sum that the first parts come to by a subtraction, and by an addition. */
  low: N;
  high: N;
  /** Only calls of `get`. */
  reading: boolean;
  readonly condition: Condition | undefined;
  readonly outcome: Promise<Outcome<N>>;
}

/** The value before the batch, to which each call adds the sum up to itself; or what each call gets. */
type Outcome<N> = { before: N } | { each: readonly (N | LockstepError)[] };

class CoalescedCounter<N extends Integer> implements Counter<N> {
  readonly name: string;
  readonly #session: Session;
  readonly #engine: Engine;
  readonly #names: CounterNames;
  readonly #key: string;
  readonly #integers: Arithmetic<N>;
  readonly #bounds: Bounds<N>;
  readonly #exact: operations.CounterRange;
  /** The last step in line is done; never rejects. */
  #idle: Promise<unknown> = Promise.resolve();
  /** The last step in line, if it still takes calls. */
  #open: Batch<N> | undefined;

  constructor(session: Session, name: string, names: CounterNames, integers: Arithmetic<N>, bounds: Bounds<N>) {
    this.name = name;
    this.#session = session;
    this.#engine = session.engine;
    this.#names = names;
    this.#key = names.counter;
    this.#integers = integers;
    this.#bounds = bounds;
    this.#exact = { from: String(integers.least), to: String(integers.most) };
  }

  add(by: N = this.#integers.one, options?: WriteOptions): Promise<N> {
    if (!this.#integers.has(by)) return Promise.reject(invalidArgument('by', by, this.#integers.wanted));
    return options === undefined ? this.#join(by, false, undefined) : this.#addGuarded(by, options);
  }

  async #addGuarded(by: N, options: WriteOptions): Promise<N> {
    return this.#join(by, false, conditionOf(options, this.#engine, this.#key));
  }

  async tryAdd(by: N = this.#integers.one, options?: WriteOptions): Promise<N | undefined> {
    try {
      return await this.add(by, options);
    } catch (error) {
      if (error instanceof LockstepError && error.details['bound'] !== undefined) return undefined;
      throw error;
    }
  }

  get(): Promise<N> {
    return this.#join(this.#integers.zero, true, undefined);
  }

  async set(value: N, options?: WriteOptions): Promise<N> {
    this.#checkValue('value', value);
    return this.#set(value, undefined, options);
  }

  async getAndReset(options?: WriteOptions): Promise<N> {
    return this.#set(this.#integers.zero, undefined, options);
  }

  async compareAndSet(expected: N, value: N, options?: WriteOptions): Promise<boolean> {
    if (!this.#integers.has(expected)) throw invalidArgument('expected', expected, this.#integers.wanted);
    this.#checkValue('value', value);
    return (await this.#set(value, expected, options)) === expected;
  }

  watch(options?: WatchOptions): AsyncIterableIterator<N> {
    let last: string | undefined;
    const read = async function* (this: CoalescedCounter<N>): AsyncGenerator<N> {
      const [verdict, value] = await this.#engine.run(operations.get, this.#names, this.#exact);
      if (verdict === 'refused') throw this.#refusal(value, this.#integers.zero);
      if (value === last) return;
      last = value;
      yield this.#integers.parse(value);
    };
    const watched = { subject: this.#where(), watchers: this.#names.watchers, read: read.bind(this) };
    return watch(this.#session, watched, options);
  }

  #checkValue(name: string, value: N): void {
    const { min, max } = this.#bounds;
    if (!this.#integers.has(value) || value < min || value > max) {
      throw invalidArgument(name, value, `${this.#integers.wanted} between ${min} and ${max}`);
    }
  }

  #set(value: N, expected: N | undefined, options: WriteOptions | undefined): Promise<N> {
    const condition = conditionOf(options, this.#engine, this.#key);
    const ask = {
      ...this.#exact,
      value: String(value),
      expected: expected === undefined ? '' : String(expected),
      owner: condition?.owner ?? '',
    };
    this.#open = undefined; // what is called later comes after
    return this.#enqueue(async () => {
      const step = this.#engine.run(operations.set, this.#guarded(condition), ask);
      const [verdict, old] = await orAmbiguous(step, `${this.#where()}: the set`);
      if (verdict === 'lost') throw this.#lost(condition);
      if (verdict === 'refused') throw this.#refusal(old, this.#integers.zero);
      return this.#integers.parse(old);
    });
  }

  #join(by: N, reading: boolean, condition: Condition | undefined): Promise<N> {
    const { sum: plus, zero } = this.#integers;
    let batch = this.#open;
    if (batch === undefined || !this.#integers.has(plus(batch.sum, by)) || !isSame(batch.condition, condition)) {
      batch = this.#begin(condition);
    }
    const upToMe = plus(batch.sum, by);
    batch.sum = upToMe;
    if (by > zero && upToMe > batch.high) batch.high = upToMe;
    if (by < zero && upToMe < batch.low) batch.low = upToMe;
    batch.reading &&= reading;
    const place = batch.parts.push(by) - 1;
    return batch.outcome.then((outcome) =>
      'before' in outcome ? plus(outcome.before, upToMe) : valueAt(outcome.each, place),
    );
  }

  #begin(condition: Condition | undefined): Batch<N> {
    const outcome = this.#enqueue(() => {
      if (this.#open === batch) this.#open = undefined;
      return this.#send(batch);
    });
    const { zero } = this.#integers;
    const batch: Batch<N> = { parts: [], sum: zero, low: zero, high: zero, reading: true, condition, outcome };
    this.#open = batch;
    return batch;
  }

  /** Runs a step when those before it are done; never within this call, so that all calls of one turn can join. */
  #enqueue<R>(send: () => Promise<R>): Promise<R> {
    const done = this.#idle.then(send);
    this.#idle = done.catch(() => {}); // its callers hear of it
    return done;
  }

  async #send(batch: Batch<N>): Promise<Outcome<N>> {
    const [verdict, value] = await this.#sum(batch);
    const { difference, parse } = this.#integers;
    if (verdict === 'ok') return { before: difference(parse(value), batch.sum) };
    if (verdict === 'lost') throw this.#lost(batch.condition);
    if (batch.parts.length > 1 && this.#isExact(value)) return { each: await this.#sendEach(batch) };
    throw this.#refusal(value, batch.sum);
  }

  /** All calls as one, if each of them fits in its turn. */
  #sum({ sum, low, high, reading, condition }: Batch<N>): Promise<operations.CounterReply> {
    if (reading) return this.#engine.run(operations.get, { counter: this.#key }, this.#exact);
    const ask = { by: String(sum), ...this.#range(low, high), owner: condition?.owner ?? '' };
    return orAmbiguous(this.#engine.run(operations.add, this.#guarded(condition), ask), `${this.#where()}: the add`);
  }

  /** The values from which sums down to `low` and up to `high` stay within the bounds. */
  #range(low: N, high: N): operations.CounterRange {
    const { zero, least, most, difference } = this.#integers;
    const { min, max } = this.#bounds;
    return {
      from: String(low < zero ? difference(min, low) : least),
      to: String(high > zero ? difference(max, high) : most),
    };
  }

  /** Together they go too far: each on its own, in order, so that only those are refused that do not fit. */
  async #sendEach({ parts, condition }: Batch<N>): Promise<(N | LockstepError)[]> {
    const { zero, parse } = this.#integers;
    const each: (N | LockstepError)[] = [];
    for (let from = 0; from < parts.length; from += limits.addsPerStep) {
      const some = parts.slice(from, from + limits.addsPerStep);
      const args = [condition?.owner ?? ''];
      for (const by of some) {
        const range = this.#range(by < zero ? by : zero, by > zero ? by : zero);
        args.push(String(by), range.from, range.to);
      }
      const { counter, guard, watchers } = this.#guarded(condition);
      const step = this.#engine.runBatch(operations.addEach, [counter, guard, watchers], args);
      const replies = await orAmbiguous(step, `${this.#where()}: some of ${parts.length} adds`);
      for (const [i, by] of some.entries()) {
        if (replies[0] === 'lost') each.push(this.#lost(condition));
        else each.push(replies[2 * i] === 'ok' ? parse(replies[2 * i + 1]!) : this.#refusal(replies[2 * i + 1]!, by));
      }
    }
    return each;
  }

  #guarded(condition: Condition | undefined): operations.GuardedCounterKeys {
    return { ...this.#names, guard: condition?.guard ?? this.#key };
  }

  #isExact(text: string): boolean {
    return exactly(this.#integers, text) !== undefined;
  }

  #where(): string {
    return `counter ${JSON.stringify(this.name)}`;
  }

  #refusal(stored: string, by: N): LockstepError {
    const { min, max } = this.#bounds;
    const details = { counter: this.name, key: this.#key, stored };
    if (this.#isExact(stored)) {
      const bound = by < this.#integers.zero ? 'min' : 'max';
      const beyond = bound === 'min' ? `below its min, ${min}` : `beyond its max, ${max}`;
      const message = `${this.#where()} is ${stored}: with ${by} added it would be ${beyond}; nothing was added`;
      return new LockstepError('INVALID_VALUE', message, { details: { ...details, by, bound, min, max } });
    }
    return new LockstepError('INVALID_VALUE', notInteger(this.#where(), this.#key, stored, this.#integers.wanted), {
      details,
    });
  }

  #lost(condition: Condition | undefined): LockstepError {
    return condition!.lost(`${this.#where()} was not changed`, { counter: this.name });
  }
}

/** What a counter holds that it can't give. */
export function notInteger(where: string, key: string, stored: string, wanted: string): string {
  const isLarge = exactly(arithmeticOf<bigint>(true), stored) !== undefined;
  const advice = isLarge
    ? 'open it with { bigint: true }, which has all integers of 64 bits'
    : `something else wrote it to ${key}; delete that key, or use another name`;
  return `${where} holds ${JSON.stringify(stored.slice(0, 80))}, not ${wanted}: ${advice}`;
}

/** The bounds that were asked for, or those of its integers. Throws `INVALID_ARGUMENT`. */
export function boundsOf<N extends Integer>(integers: Arithmetic<N>, options: CounterOptions<N>): Bounds<N> {
  const { least, most, zero, has, wanted } = integers;
  const { min = least, max = most } = options;
  if (!has(min) || min > zero) throw invalidArgument('min', min, `${wanted} that is at most 0, where counters begin`);
  if (!has(max) || max < zero) throw invalidArgument('max', max, `${wanted} that is at least 0, where counters begin`);
  return { min, max };
}

function valueAt<N>(outcome: readonly (N | LockstepError)[], place: number): N {
  const value = outcome[place]!;
  if (value instanceof LockstepError) throw value;
  return value;
}

function isSame(one: Condition | undefined, other: Condition | undefined): boolean {
  return one === other || (one?.guard === other?.guard && one?.owner === other?.owner);
}
