import { type ValueCodec, valueCodec, type ValueOptions } from '../base/codec.ts';
import { LockstepError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { checkName, spaceOf } from '../base/names.ts';
import { checkOptions } from '../base/options.ts';
import type { Engine } from '../engines/engine.ts';
import * as operations from '../operations/map.ts';
import { type Guard, guardOf } from './guard.ts';
import type { Lease } from './lease.ts';

/** Under which condition a map is written. */
export interface WriteOptions {
  /**
   * The write happens only while this lease is the lock's owner, in the same step of the store; else it rejects with
   * `LEASE_LOST` and nothing is written. `undefined` is refused, not taken for none: `tryAcquire` may have given it.
   */
  guard?: Lease;
}

/**
 * A map that everybody shares, by keys of text: each call one atomic step. Keys are 1 to 1,024 bytes of UTF-8 without
 * control characters (`INVALID_ARGUMENT`). Values are JSON, or what the schema or codec says (`INVALID_VALUE`, on write
 * and on read). All reject with `UNAVAILABLE` or `CLOSED` where the store can't be asked.
 */
export interface SharedMap<V> extends AsyncIterable<[key: string, value: V]> {
  readonly name: string;
  get(key: string): Promise<V | undefined>;
  has(key: string): Promise<boolean>;
  set(key: string, value: V, options?: WriteOptions): Promise<void>;
  /** True if the key was there. */
  delete(key: string, options?: WriteOptions): Promise<boolean>;
  size(): Promise<number>;
  /**
   * All entries, read page by page: what is there from the first page to the last comes exactly once, what is
   * written or deleted meanwhile may come or not, a value is that of when its page was read. In no order.
   * Remembers the keys that it gave, until it ends.
   */
  entries(): AsyncIterableIterator<[key: string, value: V]>;
  /** As `entries`, without decoding a value. */
  keys(): AsyncIterableIterator<string>;
  values(): AsyncIterableIterator<V>;
}

/** The handle of a map; made without I/O. Throws `INVALID_ARGUMENT` for a schema or codec that is none. */
export function createMap<V>(engine: Engine, name: string, key: string, options: ValueOptions<V> = {}): SharedMap<V> {
  return new StoredMap(engine, name, { map: key }, valueCodec(options));
}

const noOptions: WriteOptions = {};
const writeOptions: ReadonlySet<string> = new Set(['guard']);

class StoredMap<V> implements SharedMap<V> {
  readonly name: string;
  readonly #engine: Engine;
  readonly #keys: operations.MapKeys;
  readonly #codec: ValueCodec<V>;

  constructor(engine: Engine, name: string, keys: operations.MapKeys, codec: ValueCodec<V>) {
    this.name = name;
    this.#engine = engine;
    this.#keys = keys;
    this.#codec = codec;
  }

  async get(key: string): Promise<V | undefined> {
    const [stored] = await this.#stored(key);
    return stored === undefined ? undefined : this.#codec.decode(this.#where(key), stored);
  }

  async has(key: string): Promise<boolean> {
    return (await this.#stored(key)).length > 0;
  }

  async set(key: string, value: V, options: WriteOptions = noOptions): Promise<void> {
    checkKey(key);
    let text = this.#codec.encode(this.#where(key), value);
    // No await where there is nothing to wait for: writes go out in the order of their calls.
    if (typeof text !== 'string') text = await text;
    const guard = this.#guard(options);
    const write = { field: key, value: text, owner: guard?.owner ?? '' };
    const written = await this.#engine.run(operations.set, this.#guarded(guard), write);
    if (written === -1) throw this.#lost('set', key, guard);
  }

  async delete(key: string, options: WriteOptions = noOptions): Promise<boolean> {
    checkKey(key);
    const guard = this.#guard(options);
    const write = { field: key, owner: guard?.owner ?? '' };
    const removed = await this.#engine.run(operations.remove, this.#guarded(guard), write);
    if (removed === -1) throw this.#lost('deleted', key, guard);
    return removed === 1;
  }

  size(): Promise<number> {
    return this.#engine.run(operations.size, this.#keys, {});
  }

  async *entries(): AsyncGenerator<[key: string, value: V], undefined> {
    for await (const [key, stored] of this.#scan()) yield [key, await this.#codec.decode(this.#where(key), stored)];
  }

  async *keys(): AsyncGenerator<string, undefined> {
    for await (const [key] of this.#scan()) yield key;
  }

  async *values(): AsyncGenerator<V, undefined> {
    for await (const [, value] of this.entries()) yield value;
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<[key: string, value: V]> {
    return this.entries();
  }

  async *#scan(): AsyncGenerator<[key: string, stored: string], undefined> {
    const seen = new Set<string>(); // a store that moves its entries while it is scanned gives some of them twice
    let cursor = '';
    do {
      const page = await this.#engine.scan(this.#keys.map, cursor, limits.entriesPerPage);
      for (let i = 0; i + 1 < page.entries.length; i += 2) {
        const key = page.entries[i]!;
        if (seen.has(key)) continue;
        seen.add(key);
        yield [key, page.entries[i + 1]!];
      }
      cursor = page.cursor;
    } while (cursor !== '');
  }

  async #stored(key: string): Promise<readonly string[]> {
    checkKey(key);
    return this.#engine.run(operations.get, this.#keys, { field: key });
  }

  #guard(options: WriteOptions): Guard | undefined {
    if (options === noOptions) return undefined;
    checkOptions('the options of a write', options, writeOptions);
    return 'guard' in options ? guardOf(options.guard, this.#engine, spaceOf(this.#keys.map)) : undefined;
  }

  #guarded(guard: Guard | undefined): operations.GuardedMapKeys {
    return { map: this.#keys.map, guard: guard?.key ?? this.#keys.map };
  }

  #where(key: string): string {
    return `map ${JSON.stringify(this.name)}, key ${JSON.stringify(key)}`;
  }

  #lost(done: string, key: string, guard: Guard | undefined): LockstepError {
    const { lock, fence } = guard!;
    return new LockstepError(
      'LEASE_LOST',
      `${this.#where(key)} was not ${done}: its guard, the lease of lock ${JSON.stringify(lock)} (fence ${fence}), is over; acquire the lock again and read anew`,
      { details: { lock, fence, map: this.name, key } },
    );
  }
}

function checkKey(key: unknown): void {
  checkName('key', key, limits.entryKeyBytesMax);
}
