import type { ValueOptions } from '../base/codec.ts';
import type { Duration } from '../base/duration.ts';
import { invalidArgument } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { type SetNames, spaceOf } from '../base/names.ts';
import * as operations from '../operations/set.ts';
import type { Session } from '../session/session.ts';
import type { WriteOptions } from './guard.ts';
import { News } from './news.ts';
import type { WatchOptions } from './watch.ts';
import { type SharedCollection, Whole } from './whole.ts';

/** Members that came and went. */
export interface SetChanges<V> {
  readonly added: readonly V[];
  readonly deleted: readonly V[];
}

/**
 * A set that everybody shares: each call one atomic step. Members are JSON, or what the schema or codec says
 * (`INVALID_VALUE`, on write and on read); two members are the same if their texts are, so the order of an object's keys
 * counts. Writes reject with `LEASE_LOST` under a `guard` that is over; all with `WRONG_KIND`, `UNAVAILABLE`, `CLOSED`.
 * All writes but `clear`, `expire` and `persist` reject with `AMBIGUOUS` where the connection was lost before the reply:
 * they may have happened, and are not sent again.
 *
 * What several sets are joined to is read at once: of one space, at most 64 sets, and at most 10,000 members to look
 * at; else `INVALID_ARGUMENT`. Those are all members of a union, of the first of a difference, of the smallest of an intersection.
 */
export interface SharedSet<V> extends SharedCollection, AsyncIterable<V> {
  /** True if it is new. */
  add(member: V, options?: WriteOptions): Promise<boolean>;
  /** Adds up to 10,000 members in one step: how many are new. */
  addAll(members: Iterable<V>, options?: WriteOptions): Promise<number>;
  has(member: V): Promise<boolean>;
  /** True if it was there. */
  delete(member: V, options?: WriteOptions): Promise<boolean>;
  /** Deletes up to 10,000 members in one step: how many were there. */
  deleteAll(members: Iterable<V>, options?: WriteOptions): Promise<number>;
  /** Takes a member out, whichever: no two callers get the same. Nothing where the set is empty. */
  pop(options?: WriteOptions): Promise<V | undefined>;
  size(): Promise<number>;
  /** Deletes all members. */
  clear(options?: WriteOptions): Promise<void>;
  /**
   * All members, read page by page: what is there from the first page to the last comes exactly once, what is added or
   * deleted meanwhile may come or not. In no order. Remembers what it gave, until it ends.
   */
  values(): AsyncIterableIterator<V>;
  /** What is in this set or in one of the others. */
  union(...others: SharedSet<V>[]): Promise<Set<V>>;
  /** What is in this set and in all others. */
  intersection(...others: SharedSet<V>[]): Promise<Set<V>>;
  /** What is in this set and in none of the others. */
  difference(...others: SharedSet<V>[]): Promise<Set<V>>;
  /** What is in one of the two sets and not in both. */
  symmetricDifference(other: SharedSet<V>): Promise<Set<V>>;
  isSubsetOf(other: SharedSet<V>): Promise<boolean>;
  isSupersetOf(other: SharedSet<V>): Promise<boolean>;
  isDisjointFrom(other: SharedSet<V>): Promise<boolean>;
  /** Puts the union in the place of `target`, which may be one of the sets, in the same step: its size. */
  unionInto(target: SharedSet<V>, others: readonly SharedSet<V>[], options?: WriteOptions): Promise<number>;
  /** As `unionInto`, with the intersection. */
  intersectionInto(target: SharedSet<V>, others: readonly SharedSet<V>[], options?: WriteOptions): Promise<number>;
  /** As `unionInto`, with the difference. */
  differenceInto(target: SharedSet<V>, others: readonly SharedSet<V>[], options?: WriteOptions): Promise<number>;
  /**
   * All members now, which may be none, then those that came and went: at most 1,000 at a time, for as long as it is asked.
   * What came and went meanwhile is skipped. Remembers all members.
   */
  watch(options?: WatchOptions): AsyncIterableIterator<SetChanges<V>>;
}

/** The handle of a set; made without I/O. Throws `INVALID_ARGUMENT` for a schema or codec that is none. */
export function createSet<V>(
  session: Session,
  name: string,
  keys: SetNames,
  options: ValueOptions<V> = {},
): SharedSet<V> {
  const place = { key: keys.set, watchers: keys.watchers };
  return new StoredSet(new Whole(session, { kind: 'set', name }, place, options), keys);
}

type How = 'union' | 'intersection' | 'difference' | 'exclusive';

class StoredSet<V> implements SharedSet<V> {
  readonly name: string;
  readonly #whole: Whole<V>;
  readonly #keys: SetNames;

  constructor(whole: Whole<V>, keys: SetNames) {
    this.name = whole.name;
    this.#whole = whole;
    this.#keys = keys;
  }

  async add(member: V, options?: WriteOptions): Promise<boolean> {
    return (await this.#write(operations.addAll, [member], options)) === 1;
  }

  addAll(members: Iterable<V>, options?: WriteOptions): Promise<number> {
    return this.#write(operations.addAll, members, options);
  }

  async has(member: V): Promise<boolean> {
    const text = await this.#whole.text(member);
    return (await this.#whole.engine.run(operations.has, this.#keys, { member: text })) === 1;
  }

  async delete(member: V, options?: WriteOptions): Promise<boolean> {
    return (await this.#write(operations.removeAll, [member], options)) === 1;
  }

  deleteAll(members: Iterable<V>, options?: WriteOptions): Promise<number> {
    return this.#write(operations.removeAll, members, options);
  }

  async pop(options?: WriteOptions): Promise<V | undefined> {
    const [, text] = await this.#whole.write(operations.pop, this.#keys, {}, options, 'the pop');
    return text === undefined ? undefined : this.#whole.value(text);
  }

  size(): Promise<number> {
    return this.#whole.engine.run(operations.size, this.#keys, {});
  }

  async clear(options?: WriteOptions): Promise<void> {
    await this.#whole.write(operations.clear, this.#keys, {}, options);
  }

  async *values(): AsyncGenerator<V, undefined> {
    for await (const text of this.#texts()) yield await this.#whole.value(text);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<V> {
    return this.values();
  }

  union(...others: SharedSet<V>[]): Promise<Set<V>> {
    return this.#combine('union', others);
  }

  intersection(...others: SharedSet<V>[]): Promise<Set<V>> {
    return this.#combine('intersection', others);
  }

  difference(...others: SharedSet<V>[]): Promise<Set<V>> {
    return this.#combine('difference', others);
  }

  symmetricDifference(other: SharedSet<V>): Promise<Set<V>> {
    return this.#combine('exclusive', [other]);
  }

  async isSubsetOf(other: SharedSet<V>): Promise<boolean> {
    return (await this.#measure('difference', [this.#keys.set, this.#keyOf(other)])) === 0;
  }

  async isSupersetOf(other: SharedSet<V>): Promise<boolean> {
    return (await this.#measure('difference', [this.#keyOf(other), this.#keys.set])) === 0;
  }

  async isDisjointFrom(other: SharedSet<V>): Promise<boolean> {
    return (await this.#measure('intersection', [this.#keys.set, this.#keyOf(other)])) === 0;
  }

  unionInto(target: SharedSet<V>, others: readonly SharedSet<V>[], options?: WriteOptions): Promise<number> {
    return this.#store('union', target, others, options);
  }

  intersectionInto(target: SharedSet<V>, others: readonly SharedSet<V>[], options?: WriteOptions): Promise<number> {
    return this.#store('intersection', target, others, options);
  }

  differenceInto(target: SharedSet<V>, others: readonly SharedSet<V>[], options?: WriteOptions): Promise<number> {
    return this.#store('difference', target, others, options);
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

  watch(options?: WatchOptions): AsyncIterableIterator<SetChanges<V>> {
    const whole = this.#whole;
    const texts = (): AsyncIterable<string> => this.#texts();
    const news = new News({
      async *all() {
        for await (const text of texts()) yield [text, ''];
      },
      some: async (members) => {
        const found = await whole.engine.runBatch(operations.hasMany, [this.#keys.set], members);
        return new Map(found.map((place) => [members[Number(place)]!, '']));
      },
    });
    const read = async function* (changes: readonly string[] | undefined): AsyncGenerator<SetChanges<V>> {
      for await (const batch of news.since(changes)) {
        const [added, deleted]: [V[], V[]] = [[], []];
        for (const [text, there] of batch) (there === undefined ? deleted : added).push(await whole.value(text));
        yield { added, deleted };
      }
    };
    return whole.watch(read, options);
  }

  /** All members, each once. */
  async *#texts(): AsyncGenerator<string, undefined> {
    const seen = new Set<string>(); // a store that moves its members while it is scanned gives some of them twice
    let cursor = '';
    do {
      const page = await this.#whole.engine.scan(this.#keys.set, cursor, limits.entriesPerPage, 'set');
      for (const text of page.entries) {
        if (seen.has(text)) continue;
        seen.add(text);
        yield text;
      }
      cursor = page.cursor;
    } while (cursor !== '');
  }

  async #write(
    operation: typeof operations.addAll,
    members: Iterable<V>,
    options: WriteOptions | undefined,
  ): Promise<number> {
    let texts = this.#whole.texts('members', members);
    if (!Array.isArray(texts)) texts = await texts;
    const { set, watchers } = this.#keys;
    return this.#whole.writeMany(operation, (guard) => [set, guard, watchers], texts, options, 'the write');
  }

  async #combine(how: How, others: readonly SharedSet<V>[]): Promise<Set<V>> {
    const reply = await this.#whole.engine.runBatch(operations.combine, this.#allKeys(others), [how, max]);
    if (reply[0] === 'over') throw this.#over(reply);
    return new Set(await this.#whole.values(reply.slice(1) as string[]));
  }

  async #measure(how: How, keys: readonly string[]): Promise<number> {
    const reply = await this.#whole.engine.runBatch(operations.measure, keys, [how, max]);
    if (reply[0] === 'over') throw this.#over(reply);
    return Number(reply[1]);
  }

  async #store(
    how: How,
    target: SharedSet<V>,
    others: readonly SharedSet<V>[],
    options: WriteOptions | undefined,
  ): Promise<number> {
    const into = this.#storedOf('target', target).#keys;
    const sets = this.#allKeys(others);
    const keys = (guard: string): string[] => [into.set, guard, into.watchers, ...sets];
    const reply = await this.#whole.writeMany(operations.store, keys, [how, max], options, `the ${how}`);
    if (reply[0] === 'over') throw this.#over(reply);
    return Number(reply[1]);
  }

  #over(reply: readonly (string | number)[]): Error {
    return this.#whole.tooMany(Number(reply[1]), 'iterate over the sets, and join them in the program');
  }

  #allKeys(others: readonly SharedSet<V>[]): string[] {
    if (!Array.isArray(others) || others.length >= limits.setsCombinedMax) {
      throw invalidArgument('others', others, `fewer than ${limits.setsCombinedMax} sets`);
    }
    return [this.#keys.set, ...others.map((other) => this.#keyOf(other as SharedSet<V>))];
  }

  #keyOf(other: SharedSet<V>): string {
    return this.#storedOf('other', other).#keys.set;
  }

  #storedOf(argument: string, other: SharedSet<V>): StoredSet<V> {
    const { engine, key } = this.#whole;
    if (other instanceof StoredSet) {
      const its = other.#whole as Whole<V>;
      if (its.engine === engine && spaceOf(its.key) === spaceOf(key)) return other as StoredSet<V>;
    }
    throw invalidArgument(
      argument,
      other,
      `a shared set of the same store and space (${engine.name}, ${spaceOf(key)})`,
    );
  }
}

const max = String(limits.collectionReadMax);
