import { type ValueCodec, valueCodec } from '../../base/codec.ts';
import { Few } from '../../base/few.ts';
import { type LastingOptions, lifeOf } from '../value.ts';
import type { Attempt, Thing } from './attempt.ts';
import { type LifeOptions, msOf, over, type Written } from './life.ts';
import type { MapPlace } from './places.ts';
import type { Read, Write } from './steps.ts';
import type { Left } from './turns.ts';
import { updated } from './updated.ts';

/** A map inside of a transaction: as `SharedMap`, with everything that the transaction wrote so far. */
export interface TransactionMap<V> {
  readonly name: string;
  get(key: string): Promise<V | undefined>;
  has(key: string): Promise<boolean>;
  /** Without `ttl` the entry has no end. */
  set(key: string, value: V, options?: LifeOptions): Promise<void>;
  /** Sets what `change` makes of the value: the new one. Keeps the end that the entry had, unless there is a `ttl`. */
  update(key: string, change: (now: V | undefined) => V | Promise<V>, options?: LifeOptions): Promise<V>;
  /** True if the key was there. */
  delete(key: string): Promise<boolean>;
  /** The whole map is checked at the commit: it conflicts with whoever adds or deletes a key. */
  size(): Promise<number>;
}

/** The map `name` at `place`, as one run of a body sees it. Throws `INVALID_ARGUMENT` for a schema or codec that is none. */
export function mapIn<V>(
  attempt: Attempt,
  name: string,
  place: MapPlace,
  options: LastingOptions<V>,
): TransactionMap<V> {
  return new MapView(attempt, name, entriesOf(attempt, place), valueCodec(options), lifeOf(options));
}

/** What a run wants to write to the map at `place`. */
export function entriesOf(attempt: Attempt, place: MapPlace): Entries {
  return attempt.thing(place.keys[0]!, () => new Entries(attempt, place));
}

class MapView<V> implements TransactionMap<V> {
  readonly name: string;
  readonly #attempt: Attempt;
  readonly #entries: Entries;
  readonly #codec: ValueCodec<V>;
  readonly #ttlMs: number | undefined;

  constructor(attempt: Attempt, name: string, entries: Entries, codec: ValueCodec<V>, ttlMs: number | undefined) {
    this.name = name;
    this.#attempt = attempt;
    this.#entries = entries;
    this.#codec = codec;
    this.#ttlMs = ttlMs;
  }

  get(key: string): Promise<V | undefined> {
    return this.#onEntry(key, (stored) => {
      const text = this.#entries.now(key, stored);
      return text === undefined ? undefined : this.#codec.decode(() => this.#entries.where(key), text);
    });
  }

  has(key: string): Promise<boolean> {
    return this.#onEntry(key, (stored) => this.#entries.now(key, stored) !== undefined);
  }

  set(key: string, value: V, options?: LifeOptions, more?: unknown): Promise<void> {
    const work = (): void | Promise<void> => {
      const read = this.#entries.place.entry(key); // refuses what can be none
      const ms = msOf(options, this.#ttlMs) ?? 0;
      const text = this.#codec.encode(() => this.#entries.where(key), value);
      if (typeof text === 'string') return this.#entries.putAt(read, text, ms);
      return text.then((later) => this.#entries.putAt(read, later, ms));
    };
    return this.#attempt.call(this.#entries.place.what, work, more);
  }

  update(
    key: string,
    change: (now: V | undefined) => V | Promise<V>,
    options?: LifeOptions,
    more?: unknown,
  ): Promise<V> {
    const work = (stored: readonly string[]): Promise<V> => {
      const ms = msOf(options, this.#ttlMs) ?? -1;
      const where = (): string => this.#entries.where(key);
      const put = (text: string): void => this.#entries.put(key, text, ms);
      return updated(this.#codec, where, this.#entries.now(key, stored), change, put);
    };
    return this.#onEntry(key, work, more);
  }

  delete(key: string, more?: unknown): Promise<boolean> {
    const work = (stored: readonly string[]): boolean => {
      const there = this.#entries.now(key, stored) !== undefined;
      if (there) this.#entries.put(key, undefined);
      return there;
    };
    return this.#onEntry(key, work, more);
  }

  size(): Promise<number> {
    return this.#attempt.call(this.#entries.place.what, () => this.#entries.size());
  }

  /** `work` gets what the store has, where nothing was written above it. */
  #onEntry<R>(key: string, work: (stored: readonly string[]) => R | Promise<R>, more?: unknown): Promise<R> {
    return this.#attempt.callOn(this.#entries.place.what, () => this.#entries.unread(key), work, more);
  }
}

interface WrittenEntry extends Written {
  readonly read: Read;
}

/** The texts of a map: those of the store, and above them what was written. */
export class Entries implements Thing {
  readonly place: MapPlace;
  readonly #attempt: Attempt;
  readonly #written = new Few<WrittenEntry>();

  constructor(attempt: Attempt, place: MapPlace) {
    this.#attempt = attempt;
    this.place = place;
  }

  /** Names an entry for errors. */
  where(field: string): string {
    return `${this.place.what}, key ${JSON.stringify(field)}`;
  }

  /** What `now` must be given; nothing where it was written. Throws `INVALID_ARGUMENT` for a key that no entry can have. */
  unread(field: string): Read | undefined {
    const read = this.place.entry(field);
    return this.#written.has(field) ? undefined : read;
  }

  /** `stored`: what `unread` gave. */
  now(field: string, stored: readonly string[]): string | undefined {
    const written = this.#written.get(field);
    return written === undefined ? stored[0] : written.text;
  }

  /** `text`: undefined deletes. `ms`: see `putEntry` in operations/map.ts. */
  put(field: string, text: string | undefined, ms = 0): void {
    this.putAt(this.place.entry(field), text, ms);
  }

  /** At the entry that `read` reads. */
  putAt(read: Read, text: string | undefined, ms: number): void {
    const field = read.parameters[0]!;
    const now = over(this.#written.get(field), text, ms);
    this.#written.set(field, { read, text: now.text, ms: now.ms });
  }

  async size(): Promise<number> {
    const key = this.place.keys[0]!;
    const whole: Read = { id: `map.size ${key}`, name: key, place: this.place, verb: 'map.size', parameters: [] };
    const written: Read[] = [];
    this.#written.forEach(({ read }) => written.push(read));
    await Promise.all([whole, ...written].map(async (read) => this.#attempt.read(read)));
    let size = Number(this.#attempt.seen(whole)[0]);
    for (const read of written) {
      const [field] = read.parameters as [string];
      if (this.#attempt.seen(read).length > 0) size -= 1;
      if (this.#written.get(field)!.text !== undefined) size += 1;
    }
    return size;
  }

  writes(): Write[] {
    const writes: Write[] = [];
    this.#written.forEach(({ read: { name, place }, text, ms }, field) => {
      if (text === undefined) writes.push({ name, place, verb: 'map.delete', parameters: [field] });
      else if (ms === 0) writes.push({ name, place, verb: 'map.set', parameters: [field, text] });
      else writes.push({ name, place, verb: 'map.setFor', parameters: [field, text, String(ms)] });
    });
    return writes;
  }

  left(): Left[] {
    const left: Left[] = [];
    this.#written.forEach(({ read: { id }, text }) => {
      left.push({ id, texts: text === undefined ? [] : [text] });
    });
    return left;
  }
}
