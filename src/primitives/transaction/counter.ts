import { invalidArgument, LockstepError } from '../../base/errors.ts';
import { type Bounds, boundsOf, type CounterOptions, notInteger } from '../counter.ts';
import { arithmeticOf, type Arithmetic, exactly, type Integer } from '../integers.ts';
import type { Attempt, Thing } from './attempt.ts';
import type { Place, Read, Write } from './steps.ts';
import type { Left } from './turns.ts';

/** A counter inside of a transaction: as `Counter`, with everything that the transaction wrote so far. */
export interface TransactionCounter<N extends Integer = number> {
  readonly name: string;
  /**
   * Adds `by` (default 1): the value right after that, which is checked at the commit. Rejects with `INVALID_VALUE`, and
   * adds nothing, where the sum would be beyond `min` or `max`.
   */
  add(by?: N): Promise<N>;
  /** As `add`, but resolves to undefined where the sum would be beyond `min` or `max`. */
  tryAdd(by?: N): Promise<N | undefined>;
  get(): Promise<N>;
  /** Sets the value, which is between `min` and `max`; resolves to the one that it replaced. */
  set(value: N): Promise<N>;
}

/** The counter `name` at `place`, as one run of a body sees it. Throws `INVALID_ARGUMENT` for bounds that are none. */
export function counterIn<N extends Integer>(
  attempt: Attempt,
  name: string,
  place: Place,
  options: CounterOptions<NoInfer<N>>,
): TransactionCounter<N> {
  const integers = arithmeticOf<N>(options.bigint);
  const total = attempt.thing(place.keys[0]!, () => new Total(attempt, place));
  return new CounterView(attempt, name, total, integers, boundsOf(integers, options));
}

class CounterView<N extends Integer> implements TransactionCounter<N> {
  readonly name: string;
  readonly #attempt: Attempt;
  readonly #total: Total;
  readonly #integers: Arithmetic<N>;
  readonly #bounds: Bounds<N>;

  constructor(attempt: Attempt, name: string, total: Total, integers: Arithmetic<N>, bounds: Bounds<N>) {
    this.name = name;
    this.#attempt = attempt;
    this.#total = total;
    this.#integers = integers;
    this.#bounds = bounds;
  }

  add(by: N = this.#integers.one, more?: unknown): Promise<N> {
    return this.#call((stored) => {
      const old = this.#now(stored);
      const value = this.#add(old, by);
      if (value === undefined) throw this.#beyond(old, by);
      return value;
    }, more);
  }

  tryAdd(by: N = this.#integers.one, more?: unknown): Promise<N | undefined> {
    return this.#call((stored) => this.#add(this.#now(stored), by), more);
  }

  get(): Promise<N> {
    return this.#call((stored) => this.#now(stored));
  }

  set(value: N, more?: unknown): Promise<N> {
    return this.#call((stored) => {
      const { has, wanted } = this.#integers;
      const { min, max } = this.#bounds;
      if (!has(value) || value < min || value > max) {
        throw invalidArgument('value', value, `${wanted} between ${min} and ${max}`);
      }
      const old = this.#now(stored);
      this.#total.put(String(value));
      return old;
    }, more);
  }

  /** The sum, which is written; undefined, and nothing is, where it is beyond. */
  #add(old: N, by: N): N | undefined {
    const { has, wanted, zero, sum, difference } = this.#integers;
    const { min, max } = this.#bounds;
    if (!has(by)) throw invalidArgument('by', by, wanted);
    // What is beyond already, by other bounds, may come nearer. By differences: a sum might not be exact.
    if (by > zero ? old > difference(max, by) : by < zero && old < difference(min, by)) return undefined;
    const value = sum(old, by);
    this.#total.add(String(value));
    return value;
  }

  /** Nothing can come between what `work` reads and writes. */
  #call<R>(work: (stored: readonly string[]) => R, more?: unknown): Promise<R> {
    return this.#attempt.callOn(this.#total.place.what, () => this.#total.unread, work, more);
  }

  #now(stored: readonly string[]): N {
    const text = this.#total.now(stored);
    const value = exactly(this.#integers, text);
    if (value !== undefined) return value;
    const { place } = this.#total;
    throw new LockstepError('INVALID_VALUE', notInteger(place.what, place.keys[0]!, text, this.#integers.wanted), {
      details: { counter: this.name, key: place.keys[0], stored: text },
    });
  }

  #beyond(old: N, by: N): LockstepError {
    const { min, max } = this.#bounds;
    const bound = by < this.#integers.zero ? 'min' : 'max';
    const beyond = bound === 'min' ? `below its min, ${min}` : `beyond its max, ${max}`;
    return new LockstepError(
      'INVALID_VALUE',
      `${this.#total.place.what} is ${old}: with ${by} added it would be ${beyond}; nothing was added`,
      { details: { counter: this.name, key: this.#total.place.keys[0], stored: String(old), by, bound, min, max } },
    );
  }
}

/** The integer of a counter, as text: that of the store, and above it what was written. */
class Total implements Thing {
  readonly place: Place;
  readonly #attempt: Attempt;
  readonly #read: Read;
  #written: string | undefined;
  /** Whatever was there before. */
  #isSet = false;

  constructor(attempt: Attempt, place: Place) {
    const key = place.keys[0]!;
    this.#attempt = attempt;
    this.place = place;
    this.#read = { id: `counter.get ${key}`, name: key, place, verb: 'counter.get', parameters: [] };
  }

  /** What `now` must be given; nothing where it was written. */
  get unread(): Read | undefined {
    return this.#written === undefined ? this.#read : undefined;
  }

  /** `stored`: what `unread` gave. */
  now(stored: readonly string[]): string {
    return this.#written ?? stored[0] ?? '0';
  }

  put(value: string): void {
    this.#written = value;
    this.#isSet = true;
  }

  /** What additions made of it. */
  add(value: string): void {
    this.#written = value;
  }

  writes(): Write[] {
    if (this.#written === undefined) return [];
    const { name } = this.#read;
    const by = this.#isSet ? undefined : BigInt(this.#written) - BigInt(this.#attempt.seen(this.#read)[0] ?? '0');
    if (by === undefined || BigInt.asIntN(64, by) !== by) {
      return [{ name, place: this.place, verb: 'counter.set', parameters: [this.#written] }];
    }
    return [{ name, place: this.place, verb: 'counter.add', parameters: [String(by), least, most] }];
  }

  left(): Left[] {
    if (this.#written === undefined) return [];
    return [{ id: this.#read.id, texts: [this.#written] }];
  }
}

/** An addition that was checked already: any integer of 64 bits. */
const [least, most] = [String(-(2n ** 63n)), String(2n ** 63n - 1n)];
