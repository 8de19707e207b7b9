import { type ValueCodec, valueCodec, type ValueOptions } from '../base/codec.ts';
import type { LockstepError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { checkName, type MapNames } from '../base/names.ts';
import type { Engine } from '../engines/engine.ts';
import * as operations from '../operations/map.ts';
import { type Condition, conditionOf, type WriteOptions } from './guard.ts';

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
export function createMap<V>(
  engine: Engine,
  name: string,
  keys: MapNames,
  options: ValueOptions<V> = {},
): SharedMap<V> {
  return new StoredMap(engine, name, keys, valueCodec(options));
}

class StoredMap<V> implements SharedMap<V> {
  readonly name: string;
  readonly #engine: Engine;
  readonly #keys: MapNames;
  readonly #codec: ValueCodec<V>;

  constructor(engine: Engine, name: string, keys: MapNames, codec: ValueCodec<V>) {
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

  async set(key: string, value: V, options?: WriteOptions): Promise<void> {
    checkKey(key);
    let text = this.#codec.encode(this.#where(key), value);
    // No await where there is nothing to wait for: writes go out in the order of their calls.
    if (typeof text !== 'string') text = await text;
    const condition = conditionOf(options, this.#engine, this.#keys.map);
    const write = { field: key, value: text, owner: condition.owner };
    const written = await this.#engine.run(operations.set, this.#guarded(condition), write);
    if (written === -1) throw this.#lost('set', key, condition);
  }

  async delete(key: string, options?: WriteOptions): Promise<boolean> {
    checkKey(key);
    const condition = conditionOf(options, this.#engine, this.#keys.map);
    const write = { field: key, owner: condition.owner };
    const removed = await this.#engine.run(operations.remove, this.#guarded(condition), write);
    if (removed === -1) throw this.#lost('deleted', key, condition);
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

  #guarded({ guard }: Condition): operations.GuardedMapKeys {
    return { map: this.#keys.map, guard, watchers: this.#keys.watchers };
  }

  #where(key: string): string {
    return `map ${JSON.stringify(this.name)}, key ${JSON.stringify(key)}`;
  }

  #lost(done: string, key: string, condition: Condition): LockstepError {
    return condition.lost(`${this.#where(key)} was not ${done}`, { map: this.name, key });
  }
}

function checkKey(key: unknown): void {
  checkName('key', key, limits.entryKeyBytesMax);
}
