import { valueCodec, type ValueOptions } from '../../base/codec.ts';
import { invalidArgument, LockstepError } from '../../base/errors.ts';
import { checkName, type SpaceKeys } from '../../base/names.ts';
import { boundsOf, type CounterOptions } from '../counter.ts';
import { arithmeticOf, type Integer } from '../integers.ts';
import { scoreOf } from '../sorted-set.ts';
import { checkThing } from '../things.ts';
import type { PublishOptions, TopicOptions } from '../topic.ts';
import { type LastingOptions, lifeOf } from '../value.ts';
import type { Attempt, Thing } from './attempt.ts';
import { type LifeOptions, msOf } from './life.ts';
import { elementsOf } from './list.ts';
import { entriesOf } from './map.ts';
import type { Messages } from './messages.ts';
import type { Places } from './places.ts';
import { pushesTo, queuePlace, type TransactionPushOptions, type TransactionQueueOptions } from './queue.ts';
import { membersOf } from './set.ts';
import { scoresOf } from './sorted-set.ts';
import type { Place, Write } from './steps.ts';
import { noMore } from './surplus.ts';
import { publishesTo } from './topic.ts';
import type { Left } from './turns.ts';
import { cellOf } from './value.ts';

/**
 * Writes that go together: each call only notes what is to be written, and throws `INVALID_ARGUMENT` for what can't be, and
 * `CLOSED` when the function that notes them has returned.
 */
export interface Batch {
  value<V = unknown>(name: string, options?: LastingOptions<V>): ValueWrites<V>;
  map<V = unknown>(name: string, options?: LastingOptions<V>): MapWrites<V>;
  set<V = unknown>(name: string, options?: ValueOptions<V>): SetWrites<V>;
  sortedSet<V = unknown>(name: string, options?: ValueOptions<V>): SortedSetWrites<V>;
  list<V = unknown>(name: string, options?: ValueOptions<V>): ListWrites<V>;
  counter(name: string, options: CounterOptions<bigint> & { bigint: true }): CounterWrites<bigint>;
  counter(name: string, options?: CounterOptions): CounterWrites<number>;
  queue<T = unknown>(name: string, options?: TransactionQueueOptions<T>): QueueWrites<T>;
  topic<T = unknown>(name: string, options?: TopicOptions<T>): TopicWrites<T>;
}

interface ValueWrites<V> {
  /** Without `ttl` it has no end. */
  set(value: V, options?: LifeOptions): void;
  delete(): void;
}

interface MapWrites<V> {
  set(key: string, value: V, options?: LifeOptions): void;
  delete(key: string): void;
}

interface SetWrites<V> {
  add(member: V): void;
  delete(member: V): void;
}

interface SortedSetWrites<V> {
  set(member: V, score: number): void;
  add(member: V, by: number): void;
  delete(member: V): void;
}

interface ListWrites<V> {
  push(element: V): void;
  unshift(element: V): void;
}

interface CounterWrites<N> {
  /** The batch rejects with `INVALID_VALUE` where that would get beyond `min` or `max`. */
  add(by: N): void;
  set(value: N): void;
}

interface QueueWrites<T> {
  /** The `capacity` of a queue does not hold it up. */
  push(item: T, options?: TransactionPushOptions): void;
}

interface TopicWrites<T> {
  publish(item: T, options?: PublishOptions): void;
}

/** Has `fill` note its writes in `plan`. Rejects with `INVALID_VALUE` for what a schema or codec refuses. */
export async function planned(
  plan: Attempt,
  places: Places,
  keys: SpaceKeys,
  fill: (batch: Batch) => void,
): Promise<void> {
  const filling = new Filling(plan, places, keys);
  const returned: unknown = fill(filling);
  filling.isOver = true;
  if (returned instanceof Promise) {
    await Promise.allSettled([returned]);
    throw invalidArgument('fill', 'a promise', 'a function that notes its writes at once, and is not async');
  }
  await filling.noted;
}

class Filling implements Batch {
  noted: Promise<void> | undefined;
  /** What is noted now would be written by nobody. */
  isOver = false;
  readonly #plan: Attempt;
  readonly #places: Places;
  readonly #keys: SpaceKeys;

  constructor(plan: Attempt, places: Places, keys: SpaceKeys) {
    this.#plan = plan;
    this.#places = places;
    this.#keys = keys;
  }

  value<V>(name: string, options: LastingOptions<V> = {}): ValueWrites<V> {
    checkThing('value', name, options);
    const cell = cellOf(this.#plan, this.#places.value(name));
    const where = cell.place.what;
    const [codec, ttlMs] = [valueCodec(options), lifeOf(options)];
    return {
      set: (value, life, more?: unknown) => {
        const ms = msOf(life, ttlMs) ?? 0;
        this.#note(where, more, codec.encode(where, value), (text) => cell.put(text, ms));
      },
      delete: (more?: unknown) => this.#note(where, more, '', () => cell.put(undefined)),
    };
  }

  map<V>(name: string, options: LastingOptions<V> = {}): MapWrites<V> {
    checkThing('map', name, options);
    const entries = entriesOf(this.#plan, this.#places.map(name));
    const { what } = entries.place;
    const [codec, ttlMs] = [valueCodec(options), lifeOf(options)];
    return {
      set: (key, value, life, more?: unknown) => {
        entries.place.entry(key); // refuses what can be none
        const ms = msOf(life, ttlMs) ?? 0;
        const where = (): string => entries.where(key);
        this.#note(what, more, codec.encode(where, value), (text) => entries.put(key, text, ms));
      },
      delete: (key, more?: unknown) => {
        entries.place.entry(key); // refuses what can be none
        this.#note(what, more, '', () => entries.put(key, undefined));
      },
    };
  }

  set<V>(name: string, options: ValueOptions<V> = {}): SetWrites<V> {
    checkThing('set', name, options);
    const members = membersOf(this.#plan, this.#places.set(name));
    const codec = valueCodec(options);
    const { what } = members.place;
    const put = (member: V, there: boolean, more: unknown): void =>
      this.#note(what, more, codec.encode(what, member), (text) => members.put(text, there));
    return {
      add: (member, more?: unknown) => put(member, true, more),
      delete: (member, more?: unknown) => put(member, false, more),
    };
  }

  sortedSet<V>(name: string, options: ValueOptions<V> = {}): SortedSetWrites<V> {
    checkThing('sortedSet', name, options);
    const scores = scoresOf(this.#plan, this.#places.sorted(name));
    const { what } = scores.place;
    const codec = valueCodec(options);
    return {
      set: (member, score, more?: unknown) => {
        const wanted = scoreOf('score', score);
        this.#note(what, more, codec.encode(what, member), (text) => scores.put(text, wanted));
      },
      add: (member, by, more?: unknown) => {
        const amount = scoreOf('by', by);
        this.#note(what, more, codec.encode(what, member), (text) => {
          scores.add(text, amount);
          if (!scores.added.has(text)) return;
          const read = scores.fits(text);
          this.#plan.checks.set(read.id, { read, over: () => refused(scores.place, 'a score would not be finite') });
        });
      },
      delete: (member, more?: unknown) =>
        this.#note(what, more, codec.encode(what, member), (text) => scores.put(text, undefined)),
    };
  }

  list<V>(name: string, options: ValueOptions<V> = {}): ListWrites<V> {
    checkThing('list', name, options);
    const {
      place: { what },
      front,
      back,
    } = elementsOf(this.#plan, this.#places.list(name));
    const codec = valueCodec(options);
    return {
      push: (element, more?: unknown) =>
        this.#note(what, more, codec.encode(what, element), (text) => void back.push(text)),
      unshift: (element, more?: unknown) =>
        this.#note(what, more, codec.encode(what, element), (text) => void front.unshift(text)),
    };
  }

  counter(name: string, options: CounterOptions<bigint> & { bigint: true }): CounterWrites<bigint>;
  counter(name: string, options?: CounterOptions): CounterWrites<number>;
  counter(
    name: string,
    options: CounterOptions | CounterOptions<bigint> = {},
  ): CounterWrites<number> & CounterWrites<bigint> {
    checkThing('counter', name, options);
    const place = this.#places.counter(name);
    const sum = this.#plan.thing(place.keys[0]!, () => new Sum(this.#plan, place));
    const integers = arithmeticOf<number>(options.bigint);
    const { min, max } = boundsOf(integers, options as CounterOptions);
    const check = (argument: string, value: Integer): bigint => {
      if (!integers.has(value)) throw invalidArgument(argument, value, integers.wanted);
      return BigInt(value);
    };
    sum.within(BigInt(integers.least), BigInt(integers.most));
    return {
      add: (by, more?: unknown) => {
        const amount = check('by', by);
        this.#note(place.what, more, '', () => sum.add(amount, BigInt(min), BigInt(max)));
      },
      set: (value, more?: unknown) => {
        const wanted = check('value', value);
        if (value < min || value > max) throw invalidArgument('value', value, `between ${min} and ${max}`);
        this.#note(place.what, more, '', () => sum.set(wanted));
      },
    };
  }

  queue<T>(name: string, options: TransactionQueueOptions<T> = {}): QueueWrites<T> {
    checkName('queue name', name);
    const place = queuePlace(`queue ${JSON.stringify(name)}`, this.#keys.queue(name));
    return { push: this.#giving(pushesTo(this.#plan, place, options)) };
  }

  topic<T>(name: string, options: TopicOptions<T> = {}): TopicWrites<T> {
    return { publish: this.#giving(publishesTo(this.#plan, name, this.#keys.topic(name), options)) };
  }

  #giving<T, Options extends object>({ what, told, text, put }: Messages<T, Options>) {
    return (item: T, options: Options = {} as Options, more?: unknown): void => {
      const how = told(options);
      this.#note(what, more, text(item), (payload) => put(how, payload));
    };
  }

  /** In the order of the calls, also where a schema takes its time. `more`: what the call was given beyond what it takes. */
  #note(what: string, more: unknown, text: string | Promise<string>, put: (text: string) => void): void {
    if (this.isOver) throw overError(what);
    noMore(what, more);
    const before = this.noted;
    if (before === undefined && typeof text === 'string') return put(text);
    this.noted = Promise.all([text, before]).then(([later]) => put(later));
    this.noted.catch(() => {}); // it is awaited in the end
  }
}

/** What is added to a counter that nobody read, and between which values it must be for that. */
class Sum implements Thing {
  readonly place: Place;
  readonly #plan: Attempt;
  #set: bigint | undefined;
  #by = 0n;
  #from = -(2n ** 63n);
  #to = 2n ** 63n - 1n;
  /** The additions so far that need the most room, below and above. */
  #lowest: Beyond | undefined;
  #highest: Beyond | undefined;

  constructor(plan: Attempt, place: Place) {
    this.#plan = plan;
    this.place = place;
  }

  within(from: bigint, to: bigint): void {
    if (from > this.#from) this.#from = from;
    if (to < this.#to) this.#to = to;
  }

  add(by: bigint, min: bigint, max: bigint): void {
    const beyond = by < 0n ? `below its min, ${min}` : `beyond its max, ${max}`;
    if (this.#set !== undefined) {
      const sum = this.#set + by;
      if (by > 0n ? sum > max : sum < min) throw refused(this.place, wouldBe(String(this.#set), { by, beyond }));
      this.#set = sum;
      return;
    }
    this.#by += by;
    const [from, to] = [min - this.#by, max - this.#by];
    if (by < 0n && from > this.#from) [this.#from, this.#lowest] = [from, { by: this.#by, beyond }];
    if (by > 0n && to < this.#to) [this.#to, this.#highest] = [to, { by: this.#by, beyond }];
    const key = this.place.keys[0]!;
    const parameters = [String(this.#from), String(this.#to)];
    this.#plan.checks.set(key, {
      read: { id: `counter.fits ${key}`, name: key, place: this.place, verb: 'counter.fits', parameters },
      over: ([stored]) => refused(this.place, this.#why(stored!)),
    });
  }

  set(value: bigint): void {
    this.#set = value;
    this.#plan.checks.delete(this.place.keys[0]!);
  }

  writes(): Write[] {
    const { place } = this;
    if (this.#set !== undefined) {
      return [{ name: place.keys[0]!, place, verb: 'counter.set', parameters: [String(this.#set)] }];
    }
    const parameters = [String(this.#by), String(this.#from), String(this.#to)];
    return [{ name: '', place, verb: 'counter.add', parameters }];
  }

  left(): Left[] {
    return [];
  }

  /** Why nothing can be added to what the store has. */
  #why(stored: string): string {
    if (/^(?:0|-?[1-9]\d{0,18})$/.test(stored)) {
      if (BigInt(stored) < this.#from && this.#lowest !== undefined) return wouldBe(stored, this.#lowest);
      if (BigInt(stored) > this.#to && this.#highest !== undefined) return wouldBe(stored, this.#highest);
    }
    return `it holds ${JSON.stringify(stored.slice(0, 80))}, no integer between ${this.#from} and ${this.#to}, to which ${this.#by} can be added`;
  }
}

interface Beyond {
  readonly by: bigint;
  readonly beyond: string;
}

function wouldBe(value: string, { by, beyond }: Beyond): string {
  return `it is ${value}: with ${by} added it would be ${beyond}`;
}

function overError(what: string): LockstepError {
  return new LockstepError(
    'CLOSED',
    `${what} of a batch was written to after the function that notes its writes had returned, so that was not written: note all before it returns, without waiting for anything`,
  );
}

function refused({ what, keys }: Place, why: string): LockstepError {
  return new LockstepError('INVALID_VALUE', `the batch was not written: ${what}: ${why}`, {
    details: { key: keys[0] },
  });
}
