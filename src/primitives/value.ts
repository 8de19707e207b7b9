import { type ValueCodec, valueCodec, type ValueOptions, valueOptions } from '../base/codec.ts';
import { type Duration, toMs } from '../base/duration.ts';
import { limits } from '../base/limits.ts';
import type { ValueNames } from '../base/names.ts';
import * as operations from '../operations/value.ts';
import type { Session } from '../session/session.ts';
import { written } from './ambiguous.ts';
import { type Condition, conditionOf, type WriteOptions } from './guard.ts';
import { type Cell, compareAndSet, update } from './update.ts';
import { watch, type WatchOptions } from './watch.ts';

/** How the values of a handle are typed and stored, and how long they live where a write does not say. */
export interface LastingOptions<V> extends ValueOptions<V> {
  ttl?: Duration;
}

export const lastingOptions: ReadonlySet<string> = new Set([...valueOptions, 'ttl']);

/** Under which condition something is written, and how long it lives from then on, by the store's clock. */
export interface LastingWriteOptions extends WriteOptions {
  /** At least 1 ms. Default: the `ttl` of the handle, if it has one. */
  ttl?: Duration;
}

/**
 * One value that everybody shares, or none: each call one atomic step. It is JSON, or what the schema or codec says
 * (`INVALID_VALUE`, on write and on read). All reject with `UNAVAILABLE`, `CLOSED`, and `WRONG_KIND` where the key
 * holds something else; writes whose outcome depends on what was there also with `AMBIGUOUS`, where the connection was
 * lost before the reply: they may have happened, and are not sent again.
 */
export interface SharedValue<V> {
  readonly name: string;
  get(): Promise<V | undefined>;
  exists(): Promise<boolean>;
  /** Replaces the value, and its end: without `ttl` it has none. */
  set(value: V, options?: LastingWriteOptions): Promise<void>;
  /** As `set`; resolves to the value that was replaced. */
  getAndSet(value: V, options?: LastingWriteOptions): Promise<V | undefined>;
  /**
   * Sets `next` if the value equals `expected` (`undefined`: there is none); false if not. Equal is the same JSON, in
   * whatever order its properties come; with a codec, the same text. Keeps the end that the value had, unless there is a `ttl`.
   */
  compareAndSet(expected: V | undefined, next: V, options?: LastingWriteOptions): Promise<boolean>;
  /**
   * Sets what `change` makes of the value, and resolves to that: no update is lost, whoever else updates. `change` may
   * run several times, with fresh values: it must have no effects but its result. Keeps the end that the value had, unless
   * there is a `ttl`. Rejects with what `change` threw, and with `CONFLICT` where plain writes were faster each time.
   */
  update(change: (now: V | undefined) => V | Promise<V>, options?: LastingWriteOptions): Promise<V>;
  /** True if there was one. */
  delete(options?: WriteOptions): Promise<boolean>;
  /** How long it lives: ms; `Infinity` without end; `undefined` where there is none. */
  remaining(): Promise<number | undefined>;
  /** Gives it so long from now; false where there is none. */
  expire(ttl: Duration, options?: WriteOptions): Promise<boolean>;
  /** Takes its end away; false where there is none. */
  persist(options?: WriteOptions): Promise<boolean>;
  /**
   * The value now, then each that differs from the one before; `undefined` where there is none. For as long as it is
   * asked: values that came and went meanwhile are skipped.
   */
  watch(options?: WatchOptions): AsyncIterableIterator<V | undefined>;
}

/** The handle of a value; made without I/O. Throws `INVALID_ARGUMENT` for options that can't be used. */
export function createValue<V>(
  session: Session,
  name: string,
  keys: ValueNames,
  options: LastingOptions<V> = {},
): SharedValue<V> {
  return new StoredValue(session, name, keys, valueCodec(options), lifeOf(options));
}

const lastingWriteOptions: ReadonlySet<string> = new Set(['guard', 'ttl']);

/** The condition of a write that may have a `ttl`. */
export function lastingCondition(session: Session, key: string, options: LastingWriteOptions | undefined): Condition {
  return conditionOf(options, session.engine, key, lastingWriteOptions);
}

/** The `ttl` of a handle or a write: ms; undefined where there is none. */
export function lifeOf(options: { ttl?: Duration } | undefined): number | undefined {
  return options?.ttl === undefined ? undefined : toMs('ttl', options.ttl, 1, limits.ttlMsMax);
}

class StoredValue<V> implements SharedValue<V> {
  readonly name: string;
  readonly #session: Session;
  readonly #keys: ValueNames;
  readonly #codec: ValueCodec<V>;
  readonly #ttlMs: number | undefined;
  readonly #where: string;

  constructor(session: Session, name: string, keys: ValueNames, codec: ValueCodec<V>, ttlMs: number | undefined) {
    this.name = name;
    this.#session = session;
    this.#keys = keys;
    this.#codec = codec;
    this.#ttlMs = ttlMs;
    this.#where = `value ${JSON.stringify(name)}`;
  }

  async get(): Promise<V | undefined> {
    return this.#decoded((await this.#session.engine.run(operations.get, this.#keys, {}))[0]);
  }

  async exists(): Promise<boolean> {
    return (await this.#left()) !== -2;
  }

  async set(value: V, options?: LastingWriteOptions): Promise<void> {
    const condition = lastingCondition(this.#session, this.#keys.value, options);
    const ms = this.#life(options, 0);
    let text = this.#codec.encode(this.#where, value);
    // No await where there is nothing to wait for: writes go out in the order of their calls.
    if (typeof text !== 'string') text = await text;
    const write = { text, ms, owner: condition.owner };
    const step = this.#session.engine.run(operations.set, this.#guarded(condition), write);
    await written(step, this.#lost('set', condition));
  }

  async getAndSet(value: V, options?: LastingWriteOptions): Promise<V | undefined> {
    const condition = lastingCondition(this.#session, this.#keys.value, options);
    const ms = this.#life(options, 0);
    let text = this.#codec.encode(this.#where, value);
    if (typeof text !== 'string') text = await text;
    const write = { text, ms, owner: condition.owner };
    const swapped = this.#session.engine.run(operations.swap, this.#guarded(condition), write);
    const [, before] = await written(swapped, this.#lost('set', condition), `${this.#where}: the write`);
    return this.#decoded(before);
  }

  async compareAndSet(expected: V | undefined, next: V, options?: LastingWriteOptions): Promise<boolean> {
    const cell = this.#cell(options);
    const before = expected === undefined ? undefined : await this.#codec.encode(this.#where, expected);
    const text = await this.#codec.encode(this.#where, next);
    return compareAndSet(this.#session, cell, this.#codec.same, before, text);
  }

  async update(change: (now: V | undefined) => V | Promise<V>, options?: LastingWriteOptions): Promise<V> {
    return update(this.#session, this.#cell(options), this.#codec, change);
  }

  async delete(options?: WriteOptions): Promise<boolean> {
    const condition = conditionOf(options, this.#session.engine, this.#keys.value);
    const ask = { owner: condition.owner };
    const removed = this.#session.engine.run(operations.remove, this.#guarded(condition), ask);
    return (await written(removed, this.#lost('deleted', condition), `${this.#where}: the deletion`)) === 1;
  }

  async remaining(): Promise<number | undefined> {
    const ms = await this.#left();
    if (ms === -2) return undefined;
    return ms === -1 ? Number.POSITIVE_INFINITY : ms;
  }

  expire(ttl: Duration, options?: WriteOptions): Promise<boolean> {
    return this.#expire(() => toMs('ttl', ttl, 1, limits.ttlMsMax), options);
  }

  persist(options?: WriteOptions): Promise<boolean> {
    return this.#expire(() => 0, options);
  }

  watch(options?: WatchOptions): AsyncIterableIterator<V | undefined> {
    let last: string | undefined;
    let first = true;
    const read = async function* (
      this: StoredValue<V>,
      _changes: readonly string[] | undefined,
      again: (ms: number) => void,
    ): AsyncGenerator<V | undefined> {
      const [text, ms] = await this.#session.engine.run(operations.getWithLife, this.#keys, {});
      if (typeof ms === 'number' && ms >= 0) again(ms + 1);
      if (!first && text === last) return;
      first = false;
      last = text as string | undefined;
      yield await this.#decoded(last);
    };
    return watch(
      this.#session,
      { subject: this.#where, watchers: this.#keys.watchers, read: read.bind(this) },
      options,
    );
  }

  async #expire(msOf: () => number, options: WriteOptions | undefined): Promise<boolean> {
    const condition = conditionOf(options, this.#session.engine, this.#keys.value);
    const ask = { ms: msOf(), owner: condition.owner };
    const done = this.#session.engine.run(operations.expire, this.#guarded(condition), ask);
    return (await written(done, this.#lost('given another end', condition))) === 1;
  }

  /** ms; -1: without end; -2: there is none. */
  async #left(): Promise<number> {
    return this.#session.engine.run(operations.remaining, this.#keys, {});
  }

  #cell(options: LastingWriteOptions | undefined): Cell {
    const { engine } = this.#session;
    const condition = lastingCondition(this.#session, this.#keys.value, options);
    const ms = this.#life(options, -1);
    return {
      where: this.#where,
      id: `value/${this.name}`,
      terms: `${ms}/${condition.guard}/${condition.owner}`,
      read: async () => (await engine.run(operations.get, this.#keys, {}))[0],
      write: (expected, text, turn) => {
        const keys = { ...this.#keys, guard: condition.guard, turn: turn.key };
        const present = expected === undefined ? 0 : 1;
        const write = { present, expected: expected ?? '', text, ms, owner: condition.owner, turn: turn.owner };
        const step = engine.run(operations.compareAndSet, keys, write);
        return written(step, this.#lost('set', condition), `${this.#where}: the write`);
      },
    };
  }

  #life(options: LastingWriteOptions | undefined, otherwise: number): number {
    return lifeOf(options) ?? this.#ttlMs ?? otherwise;
  }

  #decoded(text: string | undefined): V | undefined | Promise<V> {
    return text === undefined ? undefined : this.#codec.decode(this.#where, text);
  }

  #guarded({ guard }: Condition): operations.WriteKeys {
    return { ...this.#keys, guard };
  }

  #lost(done: string, condition: Condition): () => Error {
    return () => condition.lost(`${this.#where} was not ${done}`, { value: this.name });
  }
}
