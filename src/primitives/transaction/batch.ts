import { valueCodec, type ValueOptions } from '../../base/codec.ts';
import { invalidArgument, LockstepError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { checkName } from '../../base/names.ts';
import { boundsOf, type CounterOptions } from '../counter.ts';
import { arithmeticOf, type Integer } from '../integers.ts';
import { scoreOf } from '../sorted-set.ts';
import { type LastingOptions, lifeOf } from '../value.ts';
import type { Attempt, Thing } from './attempt.ts';
import { type LifeOptions, msOf } from './life.ts';
import { elementsOf } from './list.ts';
import { entriesOf } from './map.ts';
import type { Places } from './places.ts';
import { membersOf } from './set.ts';
import { scoresOf } from './sorted-set.ts';
import type { Place, Write } from './steps.ts';
import type { Left } from './turns.ts';
import { cellOf } from './value.ts';

/** Writes that go together: each call only notes what is to be written, and throws `INVALID_ARGUMENT` for what can't be. */
export interface Batch {
  value<V = unknown>(name: string, options?: LastingOptions<V>): ValueWrites<V>;
  map<V = unknown>(name: string, options?: LastingOptions<V>): MapWrites<V>;
  set<V = unknown>(name: string, options?: ValueOptions<V>): SetWrites<V>;
  sortedSet<V = unknown>(name: string, options?: ValueOptions<V>): SortedSetWrites<V>;
  list<V = unknown>(name: string, options?: ValueOptions<V>): ListWrites<V>;
  counter(name: string, options: CounterOptions<bigint> & { bigint: true }): CounterWrites<bigint>;
  counter(name: string, options?: CounterOptions): CounterWrites<number>;
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

/** Has `fill` note its writes in `plan`. Rejects with `INVALID_VALUE` for what a schema or codec refuses. */
export async function planned(plan: Attempt, places: Places, fill: (batch: Batch) => void): Promise<void> {
  const filling = new Filling(plan, places);
  const returned: unknown = fill(filling);
  if (returned instanceof Promise) {
    await Promise.allSettled([returned]);
    throw invalidArgument('fill', 'a promise', 'a function that notes its writes at once, and is not async');
  }
  await filling.noted;
}

class Filling implements Batch {
  noted: Promise<void> | undefined;
  readonly #plan: Attempt;
  readonly #places: Places;

  constructor(plan: Attempt, places: Places) {
    this.#plan = plan;
    this.#places = places;
  }

  value<V>(name: string, options: LastingOptions<V> = {}): ValueWrites<V> {
    checkName('value name', name);
    const cell = cellOf(this.#plan, this.#places.value(name));
    const [codec, ttlMs] = [valueCodec(options), lifeOf(options)];
    return {
      set: (value, life) => {
        const ms = msOf(life, ttlMs) ?? 0;
        this.#note(codec.encode(cell.place.what, value), (text) => cell.put(text, ms));
      },
      delete: () => this.#note('', () => cell.put(undefined)),
    };
  }

  map<V>(name: string, options: LastingOptions<V> = {}): MapWrites<V> {
    checkName('map name', name);
    const entries = entriesOf(this.#plan, this.#places.map(name));
    const [codec, ttlMs] = [valueCodec(options), lifeOf(options)];
    return {
      set: (key, value, life) => {
        checkName('key', key, limits.entryKeyBytesMax);
        const ms = msOf(life, ttlMs) ?? 0;
        const where = (): string => entries.where(key);
        this.#note(codec.encode(where, value), (text) => entries.put(key, text, ms));
      },
      delete: (key) => {
        checkName('key', key, limits.entryKeyBytesMax);
        this.#note('', () => entries.put(key, undefined));
      },
    };
  }

  set<V>(name: string, options: ValueOptions<V> = {}): SetWrites<V> {
    checkName('set name', name);
    const members = membersOf(this.#plan, this.#places.set(name));
    const codec = valueCodec(options);
    const put = (member: V, there: boolean): void =>
      this.#note(codec.encode(members.place.what, member), (text) => members.put(text, there));
    return { add: (member) => put(member, true), delete: (member) => put(member, false) };
  }

  sortedSet<V>(name: string, options: ValueOptions<V> = {}): SortedSetWrites<V> {
    checkName('sorted set name', name);
    const scores = scoresOf(this.#plan, this.#places.sorted(name));
    const { what } = scores.place;
    const codec = valueCodec(options);
    return {
      set: (member, score) => {
        const wanted = scoreOf('score', score);
        this.#note(codec.encode(what, member), (text) => scores.put(text, wanted));
      },
      add: (member, by) => {
        const amount = scoreOf('by', by);
        this.#note(codec.encode(what, member), (text) => {
          scores.add(text, amount);
          if (!scores.added.has(text)) return;
          const read = scores.fits(text);
          this.#plan.checks.set(read.id, { read, over: () => refused(scores.place, 'a score would not be finite') });
        });
      },
      delete: (member) => this.#note(codec.encode(what, member), (text) => scores.put(text, undefined)),
    };
  }

  list<V>(name: string, options: ValueOptions<V> = {}): ListWrites<V> {
    checkName('list name', name);
    const { place, front, back } = elementsOf(this.#plan, this.#places.list(name));
    const codec = valueCodec(options);
    return {
      push: (element) => this.#note(codec.encode(place.what, element), (text) => void back.push(text)),
      unshift: (element) => this.#note(codec.encode(place.what, element), (text) => void front.unshift(text)),
    };
  }

  counter(name: string, options: CounterOptions<bigint> & { bigint: true }): CounterWrites<bigint>;
  counter(name: string, options?: CounterOptions): CounterWrites<number>;
  counter(
    name: string,
    options: CounterOptions | CounterOptions<bigint> = {},
  ): CounterWrites<number> & CounterWrites<bigint> {
    checkName('counter name', name);
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
      add: (by) => this.#note('', () => sum.add(check('by', by), BigInt(min), BigInt(max))),
      set: (value) => {
        const wanted = check('value', value);
        if (value < min || value > max) throw invalidArgument('value', value, `between ${min} and ${max}`);
        this.#note('', () => sum.set(wanted));
      },
    };
  }

  /** In the order of the calls, also where a schema takes its time. */
  #note(text: string | Promise<string>, put: (text: string) => void): void {
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

  constructor(plan: Attempt, place: Place) {
    this.#plan = plan;
    this.place = place;
  }

  within(from: bigint, to: bigint): void {
    if (from > this.#from) this.#from = from;
    if (to < this.#to) this.#to = to;
  }

  add(by: bigint, min: bigint, max: bigint): void {
    if (this.#set !== undefined) {
      const sum = this.#set + by;
      if (by > 0n ? sum > max : sum < min)
        throw refused(this.place, `${this.#set} with ${by} added is beyond its bounds`);
      this.#set = sum;
      return;
    }
    this.#by += by;
    if (by < 0n) this.within(min - this.#by, this.#to);
    if (by > 0n) this.within(this.#from, max - this.#by);
    const [from, to] = [String(this.#from), String(this.#to)];
    const key = this.place.keys[0]!;
    this.#plan.checks.set(key, {
      read: { id: `counter.fits ${key}`, name: key, place: this.place, verb: 'counter.fits', parameters: [from, to] },
      over: () => refused(this.place, `it is no integer between ${from} and ${to}, to which ${this.#by} can be added`),
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
}

function refused({ what, keys }: Place, why: string): LockstepError {
  return new LockstepError('INVALID_VALUE', `the batch was not written: ${what}: ${why}`, {
    details: { key: keys[0] },
  });
}
