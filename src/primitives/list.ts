import type { ValueOptions } from '../base/codec.ts';
import type { Duration } from '../base/duration.ts';
import { limits } from '../base/limits.ts';
import type { ListNames } from '../base/names.ts';
import { checkOptions } from '../base/options.ts';
import type { WaitOptions } from '../base/waiting.ts';
import type { Engine } from '../engines/engine.ts';
import * as operations from '../operations/list.ts';
import type { Session } from '../session/session.ts';
import type { WriteOptions } from './guard.ts';
import { markOf } from './news.ts';
import { type Side, takeFrom } from './takers.ts';
import { type WatchOptions, watchOptions } from './watch.ts';
import { checkCount, type SharedCollection, Whole } from './whole.ts';

/**
 * A list that everybody shares, quick at both ends: each call one atomic step. Elements are JSON, or what the schema or
 * codec says (`INVALID_VALUE`, on write and on read). Writes reject with `LEASE_LOST` under a `guard` that is over; all
 * with `WRONG_KIND`, `UNAVAILABLE`, `CLOSED`. All writes but `take`, `takeLast`, `clear`, `expire` and `persist` reject
 * with `AMBIGUOUS` where the connection was lost before the reply: they may have happened, and are not sent again.
 *
 * `pop` and `shift` are for what may be lost: an element whose reply does not arrive, or whose taker dies then, is gone.
 * `take` waits, and loses nothing on the way: see there.
 */
export interface SharedList<V> extends SharedCollection, AsyncIterable<V> {
  /** Adds an element at the end: the length right after that, before a waiting taker gets it. */
  push(element: V, options?: WriteOptions): Promise<number>;
  /** Adds up to 10,000 elements at the end, in their order, in one step. */
  pushAll(elements: Iterable<V>, options?: WriteOptions): Promise<number>;
  /** Adds an element at the front: the length right after that, before a waiting taker gets it. */
  unshift(element: V, options?: WriteOptions): Promise<number>;
  /** Adds up to 10,000 elements at the front, in their order, in one step. */
  unshiftAll(elements: Iterable<V>, options?: WriteOptions): Promise<number>;
  /** Takes the last element out; nothing where there is none. */
  pop(options?: WriteOptions): Promise<V | undefined>;
  /** Takes the first element out; nothing where there is none. */
  shift(options?: WriteOptions): Promise<V | undefined>;
  /** Takes the first element out, and waits for it where there is none. Takers get elements in the order of arrival, each
   * one other elements, also if they wait in several processes.
   *
   * Nothing is lost on the way: an element is handed over in the step that pushed it, and kept aside until the taker said
   * that it has it. One whose session dies before that goes back to the front. Once this resolves the element is the
   * caller's alone; a program that dies then takes it along: what has to be done for each element belongs into a queue.
   *
   * Rejects with `TIMEOUT`, `UNAVAILABLE`, `CLOSED`, or the signal's own reason: the element, if there was one, goes back to
   * the front. With `INVALID_VALUE` the element is gone: nobody could read it.
   */
  take(options?: WaitOptions): Promise<V>;
  /** As `take`, from the end. */
  takeLast(options?: WaitOptions): Promise<V>;
  /** The element at an index, negative from the end. */
  at(index: number): Promise<V | undefined>;
  /** Replaces the element at an index, negative from the end. False if there is no such index. */
  set(index: number, element: V, options?: WriteOptions): Promise<boolean>;
  /** A copy of up to 10,000 elements, as `Array.slice`. */
  slice(start?: number, end?: number): Promise<V[]>;
  /** Keeps what `slice` would give, and removes the rest: how many went. */
  trim(start: number, end?: number, options?: WriteOptions): Promise<number>;
  length(): Promise<number>;
  /** Removes all elements. */
  clear(options?: WriteOptions): Promise<void>;
  /**
   * All elements, read page by page, by their index as an array's: what is removed or added at the front meanwhile moves
   * the others, which then may be passed by or come twice.
   */
  values(): AsyncIterableIterator<V>;
  /**
   * What `slice(start, end)` gives now, then each time that it differs from before, for as long as it is asked: states
   * that came and went meanwhile are skipped. Where that is more than 10,000 elements, it rejects as `slice` does.
   */
  watch(options?: ListWatchOptions): AsyncIterableIterator<readonly V[]>;
}

/** How a list is watched, and which part of it, as of `Array.slice`: -10 is the beginning of the last ten. */
export interface ListWatchOptions extends WatchOptions {
  start?: number;
  end?: number;
}

/** The handle of a list; made without I/O. Throws `INVALID_ARGUMENT` for a schema or codec that is none. */
export function createList<V>(
  session: Session,
  name: string,
  keys: ListNames,
  options: ValueOptions<V> = {},
): SharedList<V> {
  const place = { key: keys.list, watchers: keys.watchers };
  return new StoredList(session, new Whole(session, { kind: 'list', name }, place, options), keys);
}

class StoredList<V> implements SharedList<V> {
  readonly name: string;
  readonly #session: Session;
  readonly #whole: Whole<V>;
  readonly #engine: Engine;
  readonly #keys: ListNames;

  constructor(session: Session, whole: Whole<V>, keys: ListNames) {
    this.name = whole.name;
    this.#session = session;
    this.#whole = whole;
    this.#engine = whole.engine;
    this.#keys = keys;
  }

  push(element: V, options?: WriteOptions): Promise<number> {
    return this.#push('back', [element], options);
  }

  pushAll(elements: Iterable<V>, options?: WriteOptions): Promise<number> {
    return this.#push('back', elements, options);
  }

  unshift(element: V, options?: WriteOptions): Promise<number> {
    return this.#push('front', [element], options);
  }

  unshiftAll(elements: Iterable<V>, options?: WriteOptions): Promise<number> {
    return this.#push('front', elements, options);
  }

  pop(options?: WriteOptions): Promise<V | undefined> {
    return this.#pop('back', options);
  }

  shift(options?: WriteOptions): Promise<V | undefined> {
    return this.#pop('front', options);
  }

  take(options?: WaitOptions): Promise<V> {
    return this.#take('front', options);
  }

  takeLast(options?: WaitOptions): Promise<V> {
    return this.#take('back', options);
  }

  async at(index: number): Promise<V | undefined> {
    checkIndex('index', index);
    return (await this.#slice(index, index === -1 ? Number.MAX_SAFE_INTEGER : index + 1))[0];
  }

  async set(index: number, element: V, options?: WriteOptions): Promise<boolean> {
    checkIndex('index', index);
    let text = this.#whole.text(element);
    if (typeof text !== 'string') text = await text;
    const done = await this.#whole.write(operations.set, this.#keys, { index, element: text }, options, 'the write');
    return done === 1;
  }

  async slice(start = 0, end: number = Number.MAX_SAFE_INTEGER): Promise<V[]> {
    checkIndex('start', start);
    checkIndex('end', end);
    return this.#slice(start, end);
  }

  async trim(start: number, end: number = Number.MAX_SAFE_INTEGER, options?: WriteOptions): Promise<number> {
    checkIndex('start', start);
    checkIndex('end', end);
    return this.#whole.write(operations.trim, this.#keys, { start, stop: end }, options, 'the trim');
  }

  length(): Promise<number> {
    return this.#engine.run(operations.length, this.#keys, {});
  }

  async clear(options?: WriteOptions): Promise<void> {
    await this.#whole.write(operations.trim, this.#keys, { start: 0, stop: 0 }, options);
  }

  async *values(): AsyncGenerator<V, undefined> {
    const many = limits.entriesPerPage;
    for (let from = 0; ; from += many) {
      const page = await this.#slice(from, from + many);
      yield* page;
      if (page.length < many) return;
    }
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<V> {
    return this.values();
  }

  expire(ttl: Duration, options?: WriteOptions): Promise<boolean> {
    return this.#whole.expire(ttl, options);
  }

  persist(options?: WriteOptions): Promise<boolean> {
    return this.#whole.persist(options);
  }

  ttl(): Promise<number | undefined> {
    return this.#whole.ttl();
  }

  watch(options: ListWatchOptions = {}): AsyncIterableIterator<readonly V[]> {
    checkOptions('the options of watch', options, listWatchOptions);
    const { start = 0, end = Number.MAX_SAFE_INTEGER, ...how } = options;
    checkIndex('start', start);
    checkIndex('end', end);
    const whole = this.#whole;
    const texts = (): Promise<readonly string[]> => this.#texts(start, end);
    let last: string | undefined;
    const read = async function* (): AsyncGenerator<readonly V[]> {
      const now = await texts();
      const mark = markOf(JSON.stringify(now));
      if (mark === last) return;
      last = mark;
      yield await whole.values(now);
    };
    return whole.watch(read, how);
  }

  async #push(side: Side, elements: Iterable<V>, options: WriteOptions | undefined): Promise<number> {
    let texts = this.#whole.texts('elements', elements);
    if (!Array.isArray(texts)) texts = await texts;
    if (texts.length === 0) return this.length();
    if (side === 'front') texts.reverse(); // they go in one by one
    const { list, watchers, waiting, taken, grants, returned } = this.#keys;
    const keys = (guard: string): string[] => [list, watchers, waiting, taken, grants, returned, guard];
    return this.#whole.writeMany(operations.push, keys, [side, ...texts], options, 'the push');
  }

  async #pop(side: Side, options: WriteOptions | undefined): Promise<V | undefined> {
    const ask = { side, count: 1 };
    const [, text] = await this.#whole.write(operations.pop, this.#keys, ask, options, 'the pop');
    return text === undefined ? undefined : this.#whole.value(text);
  }

  async #take(side: Side, options: WaitOptions = {}): Promise<V> {
    checkOptions('the options of take', options, takeOptions);
    return this.#whole.value(await takeFrom(this.#session, this.#whole.where, this.#keys, side, options));
  }

  async #slice(start: number, stop: number): Promise<V[]> {
    return this.#whole.values(await this.#texts(start, stop));
  }

  async #texts(start: number, stop: number): Promise<readonly string[]> {
    const ask = { start, stop, max: limits.collectionReadMax };
    const reply = await this.#engine.run(operations.slice, this.#keys, ask);
    if (reply[0] === 'over') throw this.#whole.tooMany(Number(reply[1]), 'ask for a shorter slice, or iterate');
    return reply.slice(1);
  }
}

const listWatchOptions: ReadonlySet<string> = new Set([...watchOptions, 'start', 'end']);
const takeOptions: ReadonlySet<string> = new Set(['timeout', 'signal']);

/** Throws `INVALID_ARGUMENT`. */
export function checkIndex(argument: string, index: unknown): asserts index is number {
  checkCount(argument, index, -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
}
