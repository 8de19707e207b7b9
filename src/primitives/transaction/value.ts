import { type ValueCodec, valueCodec } from '../../base/codec.ts';
import { type LastingOptions, lifeOf } from '../value.ts';
import type { Attempt, Thing } from './attempt.ts';
import { type LifeOptions, msOf, over, type Written } from './life.ts';
import type { Place, Read, Write } from './steps.ts';
import type { Left } from './turns.ts';

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
  return attempt.thing(place.keys[0]!, () => new Cell(attempt, place));
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
    return this.#attempt.call(this.#where, () => this.#now());
  }

  exists(): Promise<boolean> {
    return this.#attempt.call(this.#where, async () => {
      await this.#cell.load();
      return this.#cell.now() !== undefined;
    });
  }

  set(value: V, options?: LifeOptions, more?: unknown): Promise<void> {
    const work = async (): Promise<void> => {
      const ms = msOf(options, this.#ttlMs) ?? 0;
      this.#cell.put(await this.#codec.encode(this.#where, value), ms);
    };
    return this.#attempt.call(this.#where, work, more);
  }

  update(change: (now: V | undefined) => V | Promise<V>, options?: LifeOptions, more?: unknown): Promise<V> {
    const work = async (): Promise<V> => {
      const ms = msOf(options, this.#ttlMs) ?? -1;
      const value = await change(await this.#now());
      this.#cell.put(await this.#codec.encode(this.#where, value), ms);
      return value;
    };
    return this.#attempt.call(this.#where, work, more);
  }

  delete(more?: unknown): Promise<boolean> {
    const work = async (): Promise<boolean> => {
      await this.#cell.load();
      const there = this.#cell.now() !== undefined;
      if (there) this.#cell.put(undefined);
      return there;
    };
    return this.#attempt.call(this.#where, work, more);
  }

  async #now(): Promise<V | undefined> {
    await this.#cell.load();
    const text = this.#cell.now();
    return text === undefined ? undefined : this.#codec.decode(this.#where, text);
  }
}

/** The text of a value: that of the store, and above it what was written. */
export class Cell implements Thing {
  readonly place: Place;
  readonly #attempt: Attempt;
  readonly #read: Read;
  #written: Written | undefined;

  constructor(attempt: Attempt, place: Place) {
    const key = place.keys[0]!;
    this.#attempt = attempt;
    this.place = place;
    this.#read = { id: `value.get ${key}`, name: key, place, verb: 'value.get', parameters: [] };
  }

  load(): unknown {
    return this.#written === undefined ? this.#attempt.read(this.#read) : undefined;
  }

  /** After `load`. */
  now(): string | undefined {
    return this.#written === undefined ? this.#attempt.seen(this.#read)[0] : this.#written.text;
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
    return [{ name: this.#read.name, id: this.#read.id, texts: text === undefined ? [] : [text] }];
  }
}
