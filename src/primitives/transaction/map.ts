import { type ValueCodec, valueCodec, type ValueOptions } from '../../base/codec.ts';
import { limits } from '../../base/limits.ts';
import { checkName } from '../../base/names.ts';
import type { Attempt, Thing } from './attempt.ts';
import type { Place, Read, Write } from './steps.ts';
import type { Left } from './turns.ts';

/** A map inside of a transaction: as `SharedMap`, with everything that the transaction wrote so far. */
export interface TransactionMap<V> {
  readonly name: string;
  get(key: string): Promise<V | undefined>;
  has(key: string): Promise<boolean>;
  set(key: string, value: V): Promise<void>;
  /** True if the key was there. */
  delete(key: string): Promise<boolean>;
  /** The whole map is checked at the commit: it conflicts with whoever adds or deletes a key. */
  size(): Promise<number>;
}

/** The map `name` at `place`, as one run of a body sees it. Throws `INVALID_ARGUMENT` for a schema or codec that is none. */
export function mapIn<V>(attempt: Attempt, name: string, place: Place, options: ValueOptions<V>): TransactionMap<V> {
  const entries = attempt.thing(place.keys[0]!, () => new Entries(attempt, place));
  return new MapView(attempt, name, entries, valueCodec(options));
}

class MapView<V> implements TransactionMap<V> {
  readonly name: string;
  readonly #attempt: Attempt;
  readonly #entries: Entries;
  readonly #codec: ValueCodec<V>;

  constructor(attempt: Attempt, name: string, entries: Entries, codec: ValueCodec<V>) {
    this.name = name;
    this.#attempt = attempt;
    this.#entries = entries;
    this.#codec = codec;
  }

  get(key: string): Promise<V | undefined> {
    return this.#call(key, async () => {
      await this.#entries.load(key);
      const text = this.#entries.now(key);
      return text === undefined ? undefined : this.#codec.decode(this.#where(key), text);
    });
  }

  has(key: string): Promise<boolean> {
    return this.#call(key, async () => {
      await this.#entries.load(key);
      return this.#entries.now(key) !== undefined;
    });
  }

  set(key: string, value: V): Promise<void> {
    return this.#call(key, () => {
      const text = this.#codec.encode(this.#where(key), value);
      if (typeof text === 'string') return this.#entries.put(key, text);
      return text.then((later) => this.#entries.put(key, later));
    });
  }

  delete(key: string): Promise<boolean> {
    return this.#call(key, async () => {
      await this.#entries.load(key);
      const there = this.#entries.now(key) !== undefined;
      if (there) this.#entries.put(key, undefined);
      return there;
    });
  }

  size(): Promise<number> {
    return this.#attempt.call(this.#entries.place.what, () => this.#entries.size());
  }

  #call<R>(key: string, work: () => R | Promise<R>): Promise<R> {
    return this.#attempt.call(this.#entries.place.what, () => {
      checkName('key', key, limits.entryKeyBytesMax);
      return work();
    });
  }

  #where(key: string): string {
    return `${this.#entries.place.what}, key ${JSON.stringify(key)}`;
  }
}

/** The texts of a map: those of the store, and above them what was written. */
class Entries implements Thing {
  readonly place: Place;
  readonly #attempt: Attempt;
  /** undefined: deleted. */
  readonly #written: Map<string, string | undefined> = new Map();

  constructor(attempt: Attempt, place: Place) {
    this.#attempt = attempt;
    this.place = place;
  }

  load(field: string): unknown {
    return this.#written.has(field) ? undefined : this.#attempt.read(this.#entry(field));
  }

  /** After `load`. Nothing can come between the two, as there could behind an await. */
  now(field: string): string | undefined {
    return this.#written.has(field) ? this.#written.get(field) : this.#attempt.seen(this.#entry(field))[0];
  }

  put(field: string, text: string | undefined): void {
    this.#written.set(field, text);
  }

  async size(): Promise<number> {
    const key = this.place.keys[0]!;
    const whole: Read = { id: `map.size ${key}`, name: key, place: this.place, verb: 'map.size', parameters: [] };
    const written = [...this.#written.keys()].map((field) => this.#entry(field));
    await Promise.all([whole, ...written].map(async (read) => this.#attempt.read(read)));
    let size = Number(this.#attempt.seen(whole)[0]);
    for (const read of written) {
      const [field] = read.parameters as [string];
      if (this.#attempt.seen(read).length > 0) size -= 1;
      if (this.#written.get(field) !== undefined) size += 1;
    }
    return size;
  }

  writes(): Write[] {
    return [...this.#written].map(([field, text]) => ({
      name: this.#name(field),
      place: this.place,
      verb: text === undefined ? 'map.delete' : 'map.set',
      parameters: text === undefined ? [field] : [field, text],
    }));
  }

  left(): Left[] {
    return [...this.#written].map(([field, text]) => ({
      name: this.#name(field),
      id: this.#entry(field).id,
      texts: text === undefined ? [] : [text],
    }));
  }

  #entry(field: string): Read {
    const name = this.#name(field);
    return { id: `map.get ${name}`, name, place: this.place, verb: 'map.get', parameters: [field] };
  }

  /** Neither keys nor fields hold control characters. */
  #name(field: string): string {
    return `${this.place.keys[0]!}\n${field}`;
  }
}
