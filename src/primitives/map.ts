import { type ValueCodec, valueCodec } from '../base/codec.ts';
import { type Duration, toMs } from '../base/duration.ts';
import { invalidArgument } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { checkName, type MapNames } from '../base/names.ts';
import * as operations from '../operations/map.ts';
import type { Session } from '../session/session.ts';
import { written } from './ambiguous.ts';
import { type Condition, conditionOf, type WriteOptions } from './guard.ts';
import { News } from './news.ts';
import { type Cell, compareAndSet, update } from './update.ts';
import { lastingCondition, type LastingOptions, type LastingWriteOptions, lifeOf } from './value.ts';
import { watch, type WatchOptions } from './watch.ts';

/**
 * A map that everybody shares, by keys of text: each call one atomic step. Keys are 1 to 1,024 bytes of UTF-8 without
 * control characters (`INVALID_ARGUMENT`). Values are JSON, or what the schema or codec says (`INVALID_VALUE`, on write
 * and on read). An entry with a `ttl` is gone when that is over, by the store's clock. All reject with `UNAVAILABLE`,
 * `CLOSED`, and `WRONG_KIND` where the key holds something else; writes whose outcome depends on what was there also
 * with `AMBIGUOUS`, where the connection was lost before the reply: they may have happened, and are not sent again.
 */
export interface SharedMap<V> extends AsyncIterable<[key: string, value: V]> {
  readonly name: string;
  get(key: string): Promise<V | undefined>;
  has(key: string): Promise<boolean>;
  /** Replaces the entry, and its end: without `ttl` it has none. */
  set(key: string, value: V, options?: LastingWriteOptions): Promise<void>;
  /** True if the key was there. */
  delete(key: string, options?: WriteOptions): Promise<boolean>;
  size(): Promise<number>;
  /** Those of the keys, at most 1,000, that are there: all as of one moment. */
  getAll(keys: Iterable<string>): Promise<Map<string, V>>;
  /** Sets entries, at most 1,000, in one step: all or, where it rejects, none. */
  setAll(entries: Iterable<readonly [key: string, value: V]>, options?: LastingWriteOptions): Promise<void>;
  /** True if it was set; false if the key is there, whose value stays. */
  setIfAbsent(key: string, value: V, options?: LastingWriteOptions): Promise<boolean>;
  /** As `set`; resolves to the value that was replaced. */
  getAndSet(key: string, value: V, options?: LastingWriteOptions): Promise<V | undefined>;
  /**
   * Sets `next` if the value equals `expected` (`undefined`: there is none); false if not. Equal is the same JSON, in
   * whatever order its properties come; with a codec, the same text. Keeps the entry's end, unless there is a `ttl`.
   */
  compareAndSet(key: string, expected: V | undefined, next: V, options?: LastingWriteOptions): Promise<boolean>;
  /** Deletes the entry if its value equals `expected`, as `compareAndSet` has it. */
  deleteIf(key: string, expected: V, options?: WriteOptions): Promise<boolean>;
  /**
   * Sets what `change` makes of the value, and resolves to that: no update is lost, whoever else updates. `change` may
   * run several times, with fresh values: it must have no effects but its result. Keeps the entry's end, unless there
   * is a `ttl`. Rejects with what `change` threw, and with `CONFLICT` where plain writes were faster each time.
   */
  update(key: string, change: (now: V | undefined) => V | Promise<V>, options?: LastingWriteOptions): Promise<V>;
  /** How long an entry lives: ms; `Infinity` without end; `undefined` where there is none. */
  remaining(key: string): Promise<number | undefined>;
  /** Gives an entry so long from now; false where there is none. */
  expire(key: string, ttl: Duration, options?: WriteOptions): Promise<boolean>;
  /** Takes the end of an entry away; false where there is none. */
  persist(key: string, options?: WriteOptions): Promise<boolean>;
  /**
   * Deletes all entries that are there when it begins: up to 1,000 in one step, more in steps of so many that nobody
   * else waits long.
   */
  clear(options?: WriteOptions): Promise<void>;
  /**
   * All entries, read page by page: what is there from the first page to the last comes exactly once, what is
   * written or deleted meanwhile may come or not, a value is that of when its page was read. In no order.
   * Remembers the keys that it gave, until it ends.
   */
  entries(): AsyncIterableIterator<[key: string, value: V]>;
  /** As `entries`, without decoding a value. */
  keys(): AsyncIterableIterator<string>;
  values(): AsyncIterableIterator<V>;
  /**
   * All entries now, then those that changed, `undefined` where one is gone: at most 1,000 at a time, for as long as
   * it is asked. An empty map comes first where there is no entry. Of several changes to one key only the last is
   * certain to come. Remembers all keys and what their values were like.
   */
  watch(options?: WatchOptions): AsyncIterableIterator<ReadonlyMap<string, V | undefined>>;
}

/** The handle of a map; made without I/O. Throws `INVALID_ARGUMENT` for options that can't be used. */
export function createMap<V>(
  session: Session,
  name: string,
  keys: MapNames,
  options: LastingOptions<V> = {},
): SharedMap<V> {
  return new StoredMap(session, name, keys, valueCodec(options), lifeOf(options));
}

class StoredMap<V> implements SharedMap<V> {
  readonly name: string;
  readonly #session: Session;
  readonly #names: MapNames;
  readonly #codec: ValueCodec<V>;
  readonly #ttlMs: number | undefined;

  constructor(session: Session, name: string, names: MapNames, codec: ValueCodec<V>, ttlMs: number | undefined) {
    this.name = name;
    this.#session = session;
    this.#names = names;
    this.#codec = codec;
    this.#ttlMs = ttlMs;
  }

  async get(key: string): Promise<V | undefined> {
    return this.#decoded(key, await this.#stored(key));
  }

  async has(key: string): Promise<boolean> {
    checkKey(key);
    return (await this.#session.engine.run(operations.has, this.#names, { field: key })) === 1;
  }

  async set(key: string, value: V, options?: LastingWriteOptions): Promise<void> {
    const condition = this.#lasting(key, options);
    const ms = this.#life(options, 0);
    let text = this.#codec.encode(() => this.#where(key), value);
    // No await where there is nothing to wait for: writes go out in the order of their calls.
    if (typeof text !== 'string') text = await text;
    const write = { field: key, value: text, ms, owner: condition.owner };
    await written(
      this.#session.engine.run(operations.set, this.#guarded(condition), write),
      this.#lost('set', key, condition),
    );
  }

  async delete(key: string, options?: WriteOptions): Promise<boolean> {
    const condition = this.#condition(key, options);
    const write = { field: key, owner: condition.owner };
    const removed = this.#session.engine.run(operations.remove, this.#guarded(condition), write);
    return (await written(removed, this.#lost('deleted', key, condition), `${this.#where(key)}: the deletion`)) === 1;
  }

  async size(): Promise<number> {
    for (;;) {
      const [count = 0, inexact] = await this.#session.engine.run(operations.size, this.#names, {});
      if (inexact !== 1) return count;
      await this.#session.engine.run(operations.sweep, this.#names, {}); // many are over that nobody removed yet
    }
  }

  async getAll(keys: Iterable<string>): Promise<Map<string, V>> {
    const fields = [...new Set(listOf('keys', keys))];
    fields.forEach(checkKey);
    checkCount('keys', fields.length);
    const found = new Map<string, V>();
    for (const [key, text] of await this.#storedMany(fields)) {
      found.set(key, await this.#codec.decode(this.#where(key), text));
    }
    return found;
  }

  async setAll(entries: Iterable<readonly [key: string, value: V]>, options?: LastingWriteOptions): Promise<void> {
    const list = listOf('entries', entries);
    checkCount('entries', list.length);
    const condition = lastingCondition(this.#session, this.#names.map, options);
    const args = [condition.owner, String(this.#life(options, 0))];
    for (const entry of list) {
      if (!Array.isArray(entry)) throw invalidArgument('entries', entry, 'pairs of a key and a value');
      const [key, value] = entry;
      checkKey(key);
      args.push(key, await this.#codec.encode(this.#where(key), value));
    }
    if (list.length === 0) return;
    const { map, expiry, watchers } = this.#names;
    const at = [map, expiry, watchers, condition.guard];
    const step = this.#session.engine.runBatch(operations.setMany, at, args);
    await written(step, () => condition.lost(`${this.#subject} was not set`, { map: this.name }));
  }

  async setIfAbsent(key: string, value: V, options?: LastingWriteOptions): Promise<boolean> {
    return this.compareAndSet(key, undefined, value, options);
  }

  async getAndSet(key: string, value: V, options?: LastingWriteOptions): Promise<V | undefined> {
    const condition = this.#lasting(key, options);
    const ms = this.#life(options, 0);
    let text = this.#codec.encode(() => this.#where(key), value);
    if (typeof text !== 'string') text = await text;
    const write = { field: key, value: text, ms, owner: condition.owner };
    const swapped = this.#session.engine.run(operations.swap, this.#guarded(condition), write);
    const [, before] = await written(swapped, this.#lost('set', key, condition), `${this.#where(key)}: the write`);
    return this.#decoded(key, before);
  }

  async compareAndSet(key: string, expected: V | undefined, next: V, options?: LastingWriteOptions): Promise<boolean> {
    const cell = this.#cell(key, options);
    const before = expected === undefined ? undefined : await this.#codec.encode(this.#where(key), expected);
    const text = await this.#codec.encode(this.#where(key), next);
    return compareAndSet(this.#session, cell, this.#codec.same, before, text);
  }

  async deleteIf(key: string, expected: V, options?: WriteOptions): Promise<boolean> {
    const condition = this.#condition(key, options);
    const before = await this.#codec.encode(this.#where(key), expected);
    let wanted = before;
    for (let tries = 0; tries < limits.updateTries; tries++) {
      const ask = { field: key, expected: wanted, owner: condition.owner };
      const removed = this.#session.engine.run(operations.removeIf, this.#guarded(condition), ask);
      const lost = this.#lost('deleted', key, condition);
      const [verdict, now] = await written(removed, lost, `${this.#where(key)}: the deletion`);
      if (verdict === 'ok') return true;
      if (now === undefined || !this.#codec.same(now, before)) return false;
      wanted = now;
    }
    return false; // it was each time another text
  }

  async update(key: string, change: (now: V | undefined) => V | Promise<V>, options?: LastingWriteOptions): Promise<V> {
    return update(this.#session, this.#cell(key, options), this.#codec, change);
  }

  async remaining(key: string): Promise<number | undefined> {
    checkKey(key);
    const ms = await this.#session.engine.run(operations.remaining, this.#names, { field: key });
    if (ms === -2) return undefined;
    return ms === -1 ? Number.POSITIVE_INFINITY : ms;
  }

  async expire(key: string, ttl: Duration, options?: WriteOptions): Promise<boolean> {
    return this.#expire(key, toMs('ttl', ttl, 1, limits.ttlMsMax), options);
  }

  async persist(key: string, options?: WriteOptions): Promise<boolean> {
    return this.#expire(key, 0, options);
  }

  async clear(options?: WriteOptions): Promise<void> {
    const condition = conditionOf(options, this.#session.engine, this.#names.map);
    const { engine } = this.#session;
    const ask = { owner: condition.owner };
    const lost = (): Error => condition.lost(`${this.#subject} was not cleared`, { map: this.name });
    if ((await written(engine.run(operations.clear, this.#guarded(condition), ask), lost)) === 1) return;
    const { map, expiry, watchers } = this.#names;
    const at = [map, expiry, watchers, condition.guard];
    for await (const page of this.#pages()) {
      const keys = page.map(([key]) => key);
      await written(engine.runBatch(operations.removeMany, at, [condition.owner, ...keys]), lost);
    }
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

  watch(options?: WatchOptions): AsyncIterableIterator<ReadonlyMap<string, V | undefined>> {
    const news = new News({ all: () => this.#scan(), some: (keys) => this.#storedMany(keys) });
    const read = async function* (
      this: StoredMap<V>,
      changes: readonly string[] | undefined,
      again: (ms: number) => void,
    ): AsyncGenerator<ReadonlyMap<string, V | undefined>> {
      // What is over is removed, which is a change that this watch and all others will be told of.
      const nextMs = await this.#session.engine.run(operations.sweep, this.#names, {});
      if (nextMs >= 0) again(nextMs);
      for await (const batch of news.since(changes)) {
        const values = new Map<string, V | undefined>();
        for (const [key, text] of batch) values.set(key, await this.#decoded(key, text));
        yield values;
      }
    };
    return watch(
      this.#session,
      { subject: this.#subject, watchers: this.#names.watchers, read: read.bind(this) },
      options,
    );
  }

  async *#scan(): AsyncGenerator<[key: string, stored: string], undefined> {
    const given = new Set<string>(); // a store that moves its entries while it is scanned gives some of them twice
    for await (const page of this.#pages()) {
      for (const entry of page) {
        if (given.has(entry[0])) continue;
        given.add(entry[0]);
        yield entry;
      }
    }
  }

  /** Without what is over. */
  async *#pages(): AsyncGenerator<[key: string, stored: string][], undefined> {
    const { engine } = this.#session;
    let cursor = '';
    do {
      const ends = engine.run(operations.hasEnds, this.#names, {}); // goes out together with the next
      const [page, hasEnds] = await Promise.all([engine.scan(this.#names.map, cursor, limits.entriesPerPage), ends]);
      let entries: [string, string][] = [];
      for (let i = 0; i + 1 < page.entries.length; i += 2) entries.push([page.entries[i]!, page.entries[i + 1]!]);
      if (hasEnds === 1) entries = [...(await this.#storedMany(entries.map(([key]) => key)))];
      if (entries.length > 0) yield entries;
      cursor = page.cursor;
    } while (cursor !== '');
  }

  async #stored(key: string): Promise<string | undefined> {
    checkKey(key);
    return (await this.#session.engine.run(operations.get, this.#names, { field: key }))[0];
  }

  /** Those that are there. */
  async #storedMany(keys: readonly string[]): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    if (keys.length === 0) return found;
    const { map, expiry } = this.#names;
    const reply = await this.#session.engine.runBatch(operations.getMany, [map, expiry], keys);
    for (let i = 0; i + 1 < reply.length; i += 2) found.set(keys[Number(reply[i])]!, String(reply[i + 1]));
    return found;
  }

  async #expire(key: string, ms: number, options: WriteOptions | undefined): Promise<boolean> {
    const condition = this.#condition(key, options);
    const ask = { field: key, ms, owner: condition.owner };
    const done = this.#session.engine.run(operations.expire, this.#guarded(condition), ask);
    return (await written(done, this.#lost('given another end', key, condition))) === 1;
  }

  #cell(key: string, options: LastingWriteOptions | undefined): Cell {
    const { engine } = this.#session;
    const condition = this.#lasting(key, options);
    const ms = this.#life(options, -1);
    return {
      where: this.#where(key),
      id: `map/${this.name}/${key}`,
      terms: `${ms}/${condition.guard}/${condition.owner}`,
      read: () => this.#stored(key),
      write: (expected, value, turn) => {
        const keys = { ...this.#names, guard: condition.guard, turn: turn.key };
        const compared = { present: expected === undefined ? 0 : 1, expected: expected ?? '', turn: turn.owner };
        const write = { field: key, value, ms, owner: condition.owner, ...compared };
        const step = engine.run(operations.compareAndSet, keys, write);
        return written(step, this.#lost('set', key, condition), `${this.#where(key)}: the write`);
      },
    };
  }

  #condition(key: string, options: WriteOptions | undefined): Condition {
    checkKey(key);
    return conditionOf(options, this.#session.engine, this.#names.map);
  }

  #lasting(key: string, options: LastingWriteOptions | undefined): Condition {
    checkKey(key);
    return lastingCondition(this.#session, this.#names.map, options);
  }

  #life(options: LastingWriteOptions | undefined, otherwise: number): number {
    return lifeOf(options) ?? this.#ttlMs ?? otherwise;
  }

  #decoded(key: string, text: string | undefined): V | undefined | Promise<V> {
    return text === undefined ? undefined : this.#codec.decode(() => this.#where(key), text);
  }

  get #subject(): string {
    return `map ${JSON.stringify(this.name)}`;
  }

  #where(key: string): string {
    return `${this.#subject}, key ${JSON.stringify(key)}`;
  }

  #guarded({ guard }: Condition): operations.WriteKeys {
    return { ...this.#names, guard };
  }

  #lost(done: string, key: string, condition: Condition): () => Error {
    return () => condition.lost(`${this.#where(key)} was not ${done}`, { map: this.name, key });
  }
}

function checkKey(key: unknown): asserts key is string {
  checkName('key', key, limits.entryKeyBytesMax);
}

function listOf<T>(argument: string, items: Iterable<T>): T[] {
  if (typeof (items as Partial<Iterable<T>> | null | undefined)?.[Symbol.iterator] !== 'function') {
    throw invalidArgument(argument, items, 'iterable, such as an array');
  }
  if (typeof items === 'string') throw invalidArgument(argument, items, 'iterable, such as an array, not a text');
  return [...items];
}

function checkCount(argument: string, count: number): void {
  if (count <= limits.entriesPerStepMax) return;
  throw invalidArgument(argument, `${count} of them`, `at most ${limits.entriesPerStepMax}: make several calls`);
}
