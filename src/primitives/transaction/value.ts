import { type ValueCodec, valueCodec } from '../../base/codec.ts';
import { type LastingOptions, lifeOf } from '../value.ts';
import type { Attempt, Thing } from './attempt.ts';
import { type LifeOptions, msOf, over, type Written } from './life.ts';
import type { Place, Read, Write } from './steps.ts';
import type { Left } from './turns.ts';
import { updated } from './updated.ts';

/** A value inside of a transaction: as `SharedValue`, with everything that the transaction wrote so far. */
export interface TransactionValue<V> {
  readonly name: string;
  get(): Promise<V | undefined>;
  exists(): Promise<boolean>;
  /** Without `ttl` it has no end. */
  set(value: V, options?: LifeOptions): Promise<void>;
  /** Sets what `change` makes of the value: the new one. Keeps the end that it had, unless there is a `ttl`. */
  update(change: (now: V | undefined) => V | Promise<V>, options?: LifeOptions): Promise<V>;
  /** True if there was one. */
  delete(): Promise<boolean>;
}

/** The value `name` at `place`, as one run of a body sees it. Throws `INVALID_ARGUMENT` for options that can't be used. */
export function valueIn<V>(
  attempt: Attempt,
  name: string,
  place: Place,
  options: LastingOptions<V>,
): TransactionValue<V> {
  return new ValueView(attempt, name, cellOf(attempt, place), valueCodec(options), lifeOf(options));
}

/** What a run wants to write to the value at `place`. */
export function cellOf(attempt: Attempt, place: Place): Cell {
  return attempt.thing(place.keys[0]!, () => new Cell(place));
}

class ValueView<V> implements TransactionValue<V> {
  readonly name: string;
  readonly #attempt: Attempt;
  readonly #cell: Cell;
  readonly #codec: ValueCodec<V>;
  readonly #ttlMs: number | undefined;
  readonly #where: string;

  constructor(attempt: Attempt, name: string, cell: Cell, codec: ValueCodec<V>, ttlMs: number | undefined) {
    this.name = name;
    this.#attempt = attempt;
    this.#cell = cell;
    this.#codec = codec;
    this.#ttlMs = ttlMs;
    this.#where = cell.place.what;
  }

  get(): Promise<V | undefined> {
    return this.#onCell((stored) => {
      const text = this.#cell.now(stored);
      return text === undefined ? undefined : this.#codec.decode(this.#where, text);
    });
  }

  exists(): Promise<boolean> {
    return this.#onCell((stored) => this.#cell.now(stored) !== undefined);
  }

  set(value: V, options?: LifeOptions, more?: unknown): Promise<void> {
    const work = (): void | Promise<void> => {
      const ms = msOf(options, this.#ttlMs) ?? 0;
      const text = this.#codec.encode(this.#where, value);
      if (typeof text === 'string') return this.#cell.put(text, ms);
      return text.then((later) => this.#cell.put(later, ms));
    };
    return this.#attempt.call(this.#where, work, more);
  }

  update(change: (now: V | undefined) => V | Promise<V>, options?: LifeOptions, more?: unknown): Promise<V> {
    const work = (stored: readonly string[]): Promise<V> => {
      const ms = msOf(options, this.#ttlMs) ?? -1;
      const put = (text: string): void => this.#cell.put(text, ms);
      return updated(this.#codec, this.#where, this.#cell.now(stored), change, put);
    };
    return this.#onCell(work, more);
  }

  delete(more?: unknown): Promise<boolean> {
    const work = (stored: readonly string[]): boolean => {
      const there = this.#cell.now(stored) !== undefined;
      if (there) this.#cell.put(undefined);
      return there;
    };
    return this.#onCell(work, more);
  }

  /** `work` gets what the store has, where nothing was written above it. */
  #onCell<R>(work: (stored: readonly string[]) => R | Promise<R>, more?: unknown): Promise<R> {
    return this.#attempt.callOn(this.#where, () => this.#cell.unread, work, more);
  }
}

/** The text of a value: that of the store, and above it what was written. */
export class Cell implements Thing {
  readonly place: Place;
  readonly #read: Read;
  #written: Written | undefined;

  constructor(place: Place) {
    const key = place.keys[0]!;
    this.place = place;
    this.#read = { id: `value.get ${key}`, name: key, place, verb: 'value.get', parameters: [] };
  }

  /** What `now` must be given; nothing where it was written. */
  get unread(): Read | undefined {
    return this.#written === undefined ? this.#read : undefined;
  }

  /** `stored`: what `unread` gave. */
  now(stored: readonly string[]): string | undefined {
    return this.#written === undefined ? stored[0] : this.#written.text;
  }

  /** `text`: undefined deletes. `ms`: see `writeValue` in operations/value.ts. */
  put(text: string | undefined, ms = 0): void {
    this.#written = over(this.#written, text, ms);
  }

  writes(): Write[] {
    if (this.#written === undefined) return [];
    const { text, ms } = this.#written;
    const { name } = this.#read;
    if (text === undefined) return [{ name, place: this.place, verb: 'value.delete', parameters: [] }];
    if (ms === 0) return [{ name, place: this.place, verb: 'value.set', parameters: [text] }];
    return [{ name, place: this.place, verb: 'value.setFor', parameters: [text, String(ms)] }];
  }

  left(): Left[] {
    if (this.#written === undefined) return [];
    const { text } = this.#written;
    return [{ id: this.#read.id, texts: text === undefined ? [] : [text] }];
  }
}
