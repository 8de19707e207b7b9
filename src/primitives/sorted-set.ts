import type { ValueOptions } from '../base/codec.ts';
import type { Duration } from '../base/duration.ts';
import { invalidArgument, LockstepError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { SortedNames } from '../base/names.ts';
import { neighbour } from '../base/neighbour.ts';
import { checkOptions } from '../base/options.ts';
import type { Engine } from '../engines/engine.ts';
import * as operations from '../operations/sorted.ts';
import type { Session } from '../session/session.ts';
import type { WriteOptions } from './guard.ts';
import { News } from './news.ts';
import type { WatchOptions } from './watch.ts';
import { checkCount, listed, type SharedCollection, Whole } from './whole.ts';

/** Which scores. Without an end, there is none. */
export interface ScoreRange {
  /** At least this. */
  min?: number;
  /** More than this. */
  above?: number;
  /** At most this. */
  max?: number;
  /** Less than this. */
  below?: number;
}

/** Which scores, how many, and from which end. */
export interface ScoreRangeOptions extends ScoreRange {
  /** The first so many, of at most 10,000. Without it there may be no more than 10,000. */
  limit?: number;
  /** From the highest score down. */
  reverse?: boolean;
}

/** Which ranks, as of `Array.slice`: `end` is not in it, negative ones count from the end. */
export interface RankRangeOptions {
  start?: number;
  end?: number;
  /** Ranks count from the highest score. */
  reverse?: boolean;
}

/**
 * A set that everybody shares, whose members have a score and are in its order; members of one score are in the order
 * of the bytes of their text. Each call is one atomic step. A score is any number but NaN and the infinite ones
 * (`INVALID_ARGUMENT`). Members are JSON, or what the schema or codec says (`INVALID_VALUE`, on write and on read); two
 * are the same if their texts are. Writes reject with `LEASE_LOST` under a `guard` that is over; all with `WRONG_KIND`,
 * `UNAVAILABLE`, `CLOSED`. All writes but `clear`, `expire` and `persist` reject with `AMBIGUOUS` where the connection was
 * lost before the reply: they may have happened, and are not sent again.
 */
export interface SharedSortedSet<V> extends SharedCollection, AsyncIterable<[member: V, score: number]> {
  /** Sets the score of a member; true if it is new. */
  set(member: V, score: number, options?: WriteOptions): Promise<boolean>;
  /** Sets up to 10,000 scores in one step: how many members are new. */
  setAll(entries: Iterable<readonly [member: V, score: number]>, options?: WriteOptions): Promise<number>;
  /** Sets the score where the member is not there; true if so. */
  setIfAbsent(member: V, score: number, options?: WriteOptions): Promise<boolean>;
  /** Sets the score where the member is not there or has a smaller one; true if so. */
  setIfGreater(member: V, score: number, options?: WriteOptions): Promise<boolean>;
  /** Sets the score where the member is not there or has a greater one; true if so. */
  setIfLess(member: V, score: number, options?: WriteOptions): Promise<boolean>;
  /** Adds to the score, which is 0 where the member is not there: the new one. `INVALID_VALUE` where that is not finite. */
  add(member: V, by: number, options?: WriteOptions): Promise<number>;
  score(member: V): Promise<number | undefined>;
  has(member: V): Promise<boolean>;
  /** How many come before it: 0 is the lowest score, with `reverse` the highest. Nothing where it is not there. */
  rank(member: V, options?: { reverse?: boolean }): Promise<number | undefined>;
  /** True if it was there. */
  delete(member: V, options?: WriteOptions): Promise<boolean>;
  /** Deletes up to 10,000 members in one step: how many were there. */
  deleteAll(members: Iterable<V>, options?: WriteOptions): Promise<number>;
  size(): Promise<number>;
  /** How many members have such a score. */
  count(range?: ScoreRange): Promise<number>;
  /** Members by their rank, up to 10,000 at once. */
  range(options?: RankRangeOptions): Promise<[member: V, score: number][]>;
  /** Members by their score, up to 10,000 at once. */
  rangeByScore(options?: ScoreRangeOptions): Promise<[member: V, score: number][]>;
  /** Takes out up to `count` members (default 1), those with the lowest scores: no two callers get the same. */
  popMin(count?: number, options?: WriteOptions): Promise<[member: V, score: number][]>;
  /** As `popMin`, from the highest score down. */
  popMax(count?: number, options?: WriteOptions): Promise<[member: V, score: number][]>;
  /** Deletes all members. */
  clear(options?: WriteOptions): Promise<void>;
  /**
   * All members, from the lowest score up, read page by page: what is there with one score from the first page to the
   * last comes exactly once, what changes meanwhile at most once. Remembers what it gave, until it ends.
   */
  entries(): AsyncIterableIterator<[member: V, score: number]>;
  /**
   * All members now, which may be none, then those whose score changed, `undefined` where one is gone: at most 1,000 at a
   * time, for as long as it is asked. Of several changes to one only the last is certain to come. Remembers all members.
   */
  watch(options?: WatchOptions): AsyncIterableIterator<readonly [member: V, score: number | undefined][]>;
}

/** The handle of a sorted set; made without I/O. Throws `INVALID_ARGUMENT` for a schema or codec that is none. */
export function createSortedSet<V>(
  session: Session,
  name: string,
  keys: SortedNames,
  options: ValueOptions<V> = {},
): SharedSortedSet<V> {
  const place = { key: keys.sorted, watchers: keys.watchers };
  return new StoredSortedSet(new Whole(session, { kind: 'sorted set', name }, place, options), keys);
}

type When = 'always' | 'absent' | 'greater' | 'less';

class StoredSortedSet<V> implements SharedSortedSet<V> {
  readonly name: string;
  readonly #whole: Whole<V>;
  readonly #engine: Engine;
  readonly #keys: SortedNames;

  constructor(whole: Whole<V>, keys: SortedNames) {
    this.name = whole.name;
    this.#whole = whole;
    this.#engine = whole.engine;
    this.#keys = keys;
  }

  readonly #guarded = (guard: string): string[] => [this.#keys.sorted, guard, this.#keys.watchers];

  async set(member: V, score: number, options?: WriteOptions): Promise<boolean> {
    return (await this.#set('always', [[member, score]], options)) === 1;
  }

  setAll(entries: Iterable<readonly [member: V, score: number]>, options?: WriteOptions): Promise<number> {
    return this.#set('always', entries, options);
  }

  async setIfAbsent(member: V, score: number, options?: WriteOptions): Promise<boolean> {
    return (await this.#set('absent', [[member, score]], options)) === 1;
  }

  async setIfGreater(member: V, score: number, options?: WriteOptions): Promise<boolean> {
    return (await this.#set('greater', [[member, score]], options)) === 1;
  }

  async setIfLess(member: V, score: number, options?: WriteOptions): Promise<boolean> {
    return (await this.#set('less', [[member, score]], options)) === 1;
  }

  async add(member: V, by: number, options?: WriteOptions): Promise<number> {
    const amount = scoreOf('by', by);
    let text = this.#whole.text(member);
    if (typeof text !== 'string') text = await text;
    const ask = { by: amount, member: text };
    const [verdict, score] = await this.#whole.write(operations.add, this.#keys, ask, options, 'the addition');
    if (verdict === 'ok') return numberOf(score!);
    throw new LockstepError(
      'INVALID_VALUE',
      `${this.#whole.where}: a score of ${score!} with ${by} added is not finite; nothing was added`,
      { details: { name: this.name, score: numberOf(score!), by } },
    );
  }

  async score(member: V): Promise<number | undefined> {
    const [score] = await this.#engine.run(operations.score, this.#keys, { member: await this.#whole.text(member) });
    return score === undefined ? undefined : numberOf(score);
  }

  async has(member: V): Promise<boolean> {
    return (await this.score(member)) !== undefined;
  }

  async rank(member: V, options: { reverse?: boolean } = {}): Promise<number | undefined> {
    checkOptions('the options of rank', options, rankOptions);
    const ask = { member: await this.#whole.text(member), reverse: options.reverse === true ? 1 : 0 };
    const rank = await this.#engine.run(operations.rank, this.#keys, ask);
    return rank === -1 ? undefined : rank;
  }

  async delete(member: V, options?: WriteOptions): Promise<boolean> {
    return (await this.deleteAll([member], options)) === 1;
  }

  async deleteAll(members: Iterable<V>, options?: WriteOptions): Promise<number> {
    let texts = this.#whole.texts('members', members);
    if (!Array.isArray(texts)) texts = await texts;
    return this.#whole.writeMany(operations.removeAll, this.#guarded, texts, options, 'the deletion');
  }

  size(): Promise<number> {
    return this.#engine.run(operations.size, this.#keys, {});
  }

  async count(range: ScoreRange = {}): Promise<number> {
    checkOptions('the range of scores', range, scoreOptions);
    return this.#engine.run(operations.count, this.#keys, endsOf(range));
  }

  async range(options: RankRangeOptions = {}): Promise<[member: V, score: number][]> {
    checkOptions('the options of range', options, rangeOptions);
    const { start = 0, end = Number.MAX_SAFE_INTEGER, reverse = false } = options;
    checkCount('start', start, -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    checkCount('end', end, -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    const ask = { start, stop: end, reverse: reverse ? 1 : 0, max: limits.collectionReadMax };
    return this.#read(await this.#engine.run(operations.range, this.#keys, ask), 'ask for fewer ranks, or iterate');
  }

  async rangeByScore(options: ScoreRangeOptions = {}): Promise<[member: V, score: number][]> {
    checkOptions('the options of rangeByScore', options, scoreRangeOptions);
    const { limit = -1, reverse = false } = options;
    if ('limit' in options) checkCount('limit', limit, 0, limits.collectionReadMax);
    const ask = { ...endsOf(options), reverse: reverse ? 1 : 0, limit, max: limits.collectionReadMax };
    return this.#read(await this.#engine.run(operations.rangeByScore, this.#keys, ask), 'give a limit, or iterate');
  }

  popMin(count = 1, options?: WriteOptions): Promise<[member: V, score: number][]> {
    return this.#pop(0, count, options);
  }

  popMax(count = 1, options?: WriteOptions): Promise<[member: V, score: number][]> {
    return this.#pop(1, count, options);
  }

  async clear(options?: WriteOptions): Promise<void> {
    await this.#whole.write(operations.clear, this.#keys, {}, options);
  }

  async *entries(): AsyncGenerator<[member: V, score: number], undefined> {
    for await (const [member, score] of this.#scan()) yield [await this.#whole.value(member), numberOf(score)];
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<[member: V, score: number]> {
    return this.entries();
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

  watch(options?: WatchOptions): AsyncIterableIterator<readonly [member: V, score: number | undefined][]> {
    const whole = this.#whole;
    const news = new News({
      all: () => this.#scan(),
      some: async (members) => {
        const found = await whole.engine.runBatch(operations.scores, [this.#keys.sorted], members);
        const scores = new Map<string, string>();
        for (let i = 0; i + 1 < found.length; i += 2) scores.set(members[Number(found[i])]!, String(found[i + 1]));
        return scores;
      },
    });
    const read = async function* (
      changes: readonly string[] | undefined,
    ): AsyncGenerator<readonly [V, number | undefined][]> {
      for await (const batch of news.since(changes)) {
        const scores: [V, number | undefined][] = [];
        for (const [text, score] of batch) {
          scores.push([await whole.value(text), score === undefined ? undefined : numberOf(score)]);
        }
        yield scores;
      }
    };
    return whole.watch(read, options);
  }

  /** All members with their scores, as the store has them, each once. */
  async *#scan(): AsyncGenerator<[member: string, score: string], undefined> {
    const seen = new Set<string>();
    let anchors: string[] = [];
    for (;;) {
      const ask = [String(limits.entriesPerPage), ...anchors];
      const page = (await this.#engine.runBatch(operations.page, [this.#keys.sorted], ask)) as string[];
      anchors = [];
      for (let i = page.length - 2; i > 0 && anchors.length < limits.pageAnchors * 2; i -= 2) {
        anchors.push(page[i]!, String(numberOf(page[i + 1]!)));
      }
      for (let i = 1; i + 1 < page.length; i += 2) {
        const [member, score] = [page[i]!, page[i + 1]!];
        if (seen.has(member)) continue;
        seen.add(member);
        yield [member, score];
      }
      if (page.length - 1 < limits.entriesPerPage * 2) return;
    }
  }

  async #set(
    when: When,
    entries: Iterable<readonly [member: V, score: number]>,
    options: WriteOptions | undefined,
  ): Promise<number> {
    const all = listed('entries', entries);
    const scores = all.map((entry) => String(scoreOf('score', entry[1])));
    let texts = this.#whole.texts(
      'entries',
      all.map((entry) => entry[0]),
    );
    if (!Array.isArray(texts)) texts = await texts;
    const pairs = texts.flatMap((text, i) => [scores[i]!, text]);
    return this.#whole.writeMany(operations.setAll, this.#guarded, [when, ...pairs], options, 'the write');
  }

  async #pop(reverse: number, count: number, options: WriteOptions | undefined): Promise<[V, number][]> {
    checkCount('count', count, 0, limits.collectionWriteMax);
    const popped = await this.#whole.write(operations.pop, this.#keys, { reverse, count }, options, 'the pop');
    return this.#read(popped, '');
  }

  /** Of a reply: 'ok', then members and scores; or 'over'. */
  async #read(reply: readonly (string | number)[], instead: string): Promise<[V, number][]> {
    if (reply[0] === 'over') throw this.#whole.tooMany(Number(reply[1]), instead);
    const entries: [V, number][] = [];
    for (let i = 1; i + 1 < reply.length; i += 2) {
      entries.push([await this.#whole.value(String(reply[i])), numberOf(String(reply[i + 1]))]);
    }
    return entries;
  }
}

const rankOptions: ReadonlySet<string> = new Set(['reverse']);
/** Options of `range`, and of `rangeByScore`. */
export const rangeOptions: ReadonlySet<string> = new Set(['start', 'end', 'reverse']);
const scoreOptions: ReadonlySet<string> = new Set(['min', 'above', 'max', 'below']);
export const scoreRangeOptions: ReadonlySet<string> = new Set([...scoreOptions, 'limit', 'reverse']);

/** The score itself; -0 is 0. Throws `INVALID_ARGUMENT` for what is none. */
export function scoreOf(argument: string, score: unknown): number {
  if (typeof score !== 'number' || !Number.isFinite(score)) throw invalidArgument(argument, score, 'a finite number');
  return score + 0;
}

/** The number of a score's text: another program may have written an infinite one. */
export function numberOf(score: string): number {
  return Number(score.replace('inf', 'Infinity'));
}

/** The lowest and highest score of a range. Throws `INVALID_ARGUMENT`. */
export function endsOf({ min, above, max, below }: ScoreRange): { from: number; to: number } {
  if (min !== undefined && above !== undefined) throw invalidArgument('above', above, 'absent where there is a min');
  if (max !== undefined && below !== undefined) throw invalidArgument('below', below, 'absent where there is a max');
  const from = above === undefined ? limitOf('min', min ?? -Infinity) : neighbour(limitOf('above', above), 1);
  const to = below === undefined ? limitOf('max', max ?? Infinity) : neighbour(limitOf('below', below), -1);
  return { from, to };
}

function limitOf(argument: string, score: unknown): number {
  if (typeof score !== 'number' || Number.isNaN(score)) throw invalidArgument(argument, score, 'a number');
  return score;
}
