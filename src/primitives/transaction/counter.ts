import { invalidArgument, LockstepError } from '../../base/errors.ts';
import type { Attempt, Thing } from './attempt.ts';
import type { Place, Read, Write } from './steps.ts';
import type { Left } from './turns.ts';

/** A counter inside of a transaction: as `Counter`, with everything that the transaction wrote so far. */
export interface TransactionCounter {
  readonly name: string;
  /** The value right after that. Reads the counter: `batch` adds without. */
  add(by?: number): Promise<number>;
  get(): Promise<number>;
  /** The value that it replaced. */
  set(value: number): Promise<number>;
}

/** The counter `name` at `place`, as one run of a body sees it. */
export function counterIn(attempt: Attempt, name: string, place: Place): TransactionCounter {
  return new CounterView(
    attempt,
    name,
    attempt.thing(place.keys[0]!, () => new Total(attempt, place)),
  );
}

class CounterView implements TransactionCounter {
  readonly name: string;
  readonly #attempt: Attempt;
  readonly #total: Total;

  constructor(attempt: Attempt, name: string, total: Total) {
    this.name = name;
    this.#attempt = attempt;
    this.#total = total;
  }

  add(by = 1): Promise<number> {
    return this.#attempt.call(this.#total.place.what, async () => {
      checkInteger('by', by);
      await this.#total.load();
      const old = this.#total.now();
      const value = old + by;
      if (!Number.isSafeInteger(value)) throw tooLarge(this.#total.place, old, by);
      this.#total.put(value);
      return value;
    });
  }

  get(): Promise<number> {
    return this.#attempt.call(this.#total.place.what, async () => {
      await this.#total.load();
      return this.#total.now();
    });
  }

  set(value: number): Promise<number> {
    return this.#attempt.call(this.#total.place.what, async () => {
      checkInteger('value', value);
      await this.#total.load();
      const old = this.#total.now();
      this.#total.put(value);
      return old;
    });
  }
}

/** The number of a counter: that of the store, and above it what was written. */
class Total implements Thing {
  readonly place: Place;
  readonly #attempt: Attempt;
  readonly #read: Read;
  #written: number | undefined;

  constructor(attempt: Attempt, place: Place) {
    const key = place.keys[0]!;
    this.#attempt = attempt;
    this.place = place;
    this.#read = { id: `counter.get ${key}`, name: key, place, verb: 'counter.get', parameters: [] };
  }

  load(): unknown {
    return this.#written === undefined ? this.#attempt.read(this.#read) : undefined;
  }

  /** After `load`. Nothing can come between the two, as there could behind an await. */
  now(): number {
    if (this.#written !== undefined) return this.#written;
    return integerOf(this.place, this.#attempt.seen(this.#read)[0] ?? '0');
  }

  put(value: number): void {
    this.#written = value;
  }

  writes(): Write[] {
    if (this.#written === undefined) return [];
    return [{ name: this.#read.name, place: this.place, verb: 'counter.set', parameters: [String(this.#written)] }];
  }

  left(): Left[] {
    if (this.#written === undefined) return [];
    return [{ name: this.#read.name, id: this.#read.id, texts: [String(this.#written)] }];
  }
}

/** Throws `INVALID_ARGUMENT`. */
function checkInteger(name: string, value: number): void {
  if (!Number.isSafeInteger(value)) throw invalidArgument(name, value, 'an integer of at most 2^53 - 1 in size');
}

function integerOf(place: Place, text: string): number {
  const value = /^(?:0|-?[1-9]\d*)$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  throw notInteger(place, text);
}

/** A counter that holds something else. */
function notInteger(place: Place, stored: string): LockstepError {
  return new LockstepError(
    'INVALID_VALUE',
    `${place.what} holds ${JSON.stringify(stored.slice(0, 80))}, not an integer of at most 2^53 - 1 in size: something else wrote it to ${place.keys[0]!}; delete that key, or use another name`,
    { details: { key: place.keys[0], stored } },
  );
}

/** A sum that would not be exact. */
function tooLarge(place: Place, old: number | string, by: number): LockstepError {
  return new LockstepError(
    'INVALID_VALUE',
    `${place.what} is ${old}: with ${by} added it would be beyond 2^53 - 1 in size, and not exact`,
    { details: { key: place.keys[0], stored: String(old) } },
  );
}
