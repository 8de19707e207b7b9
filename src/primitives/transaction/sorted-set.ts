import { type ValueCodec, valueCodec, type ValueOptions } from '../../base/codec.ts';
import { invalidArgument, LockstepError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { checkOptions } from '../../base/options.ts';
import {
  endsOf,
  numberOf,
  rangeOptions,
  type RankRangeOptions,
  scoreOf,
  scoreRangeOptions,
  type ScoreRangeOptions,
} from '../sorted-set.ts';
import { checkCount } from '../whole.ts';
import type { Attempt, Thing } from './attempt.ts';
import type { Place, Read, Write } from './steps.ts';
import type { Left } from './turns.ts';

/** A sorted set inside of a transaction: as `SharedSortedSet`, with everything that the transaction wrote so far. */
export interface TransactionSortedSet<V> {
  readonly name: string;
  score(member: V): Promise<number | undefined>;
  has(member: V): Promise<boolean>;
  /** True if it is new. */
  set(member: V, score: number): Promise<boolean>;
  /** Adds to the score, which is 0 where the member is not there: the new one. `INVALID_VALUE` where that is not finite. */
  add(member: V, by: number): Promise<number>;
  /** True if it was there. */
  delete(member: V): Promise<boolean>;
  /** As the ranges, checked at the commit: it conflicts with whoever changes what it gave. */
  size(): Promise<number>;
  /** Up to 10,000 members by their rank; behind writes of the same transaction all ranks up to the last one asked for. */
  range(options?: RankRangeOptions): Promise<[member: V, score: number][]>;
  /** Up to 10,000 members by their score. */
  rangeByScore(options?: ScoreRangeOptions): Promise<[member: V, score: number][]>;
}

/** The sorted set `name` at `place`, as one run of a body sees it. Throws `INVALID_ARGUMENT` for a schema or codec that is none. */
export function sortedSetIn<V>(
  attempt: Attempt,
  name: string,
  place: Place,
  options: ValueOptions<V>,
): TransactionSortedSet<V> {
  return new SortedSetView(attempt, name, scoresOf(attempt, place), valueCodec(options));
}

/** What a run wants to write to the sorted set at `place`. */
export function scoresOf(attempt: Attempt, place: Place): Scores {
  return attempt.thing(place.keys[0]!, () => new Scores(attempt, place));
}

class SortedSetView<V> implements TransactionSortedSet<V> {
  readonly name: string;
  readonly #attempt: Attempt;
  readonly #scores: Scores;
  readonly #codec: ValueCodec<V>;
  readonly #what: string;

  constructor(attempt: Attempt, name: string, scores: Scores, codec: ValueCodec<V>) {
    this.name = name;
    this.#attempt = attempt;
    this.#scores = scores;
    this.#codec = codec;
    this.#what = scores.place.what;
  }

  score(member: V): Promise<number | undefined> {
    return this.#call(member, (_, score) => score);
  }

  has(member: V): Promise<boolean> {
    return this.#call(member, (_, score) => score !== undefined);
  }

  set(member: V, score: number, more?: unknown): Promise<boolean> {
    const work = (text: string, before: number | undefined): boolean => {
      this.#scores.put(text, scoreOf('score', score));
      return before === undefined;
    };
    return this.#call(member, work, more);
  }

  add(member: V, by: number, more?: unknown): Promise<number> {
    const work = (text: string, before = 0): number => {
      const sum = before + scoreOf('by', by);
      if (!Number.isFinite(sum)) throw notFinite(this.#scores.place, before, by);
      this.#scores.put(text, sum);
      return sum;
    };
    return this.#call(member, work, more);
  }

  delete(member: V, more?: unknown): Promise<boolean> {
    const work = (text: string, before: number | undefined): boolean => {
      if (before !== undefined) this.#scores.put(text, undefined);
      return before !== undefined;
    };
    return this.#call(member, work, more);
  }

  size(): Promise<number> {
    return this.#attempt.call(this.#what, () => this.#scores.size());
  }

  range(options: RankRangeOptions = {}): Promise<[member: V, score: number][]> {
    return this.#attempt.call(this.#what, async () => {
      checkOptions('the options of range', options, rangeOptions);
      const { start = 0, end = Number.MAX_SAFE_INTEGER, reverse = false } = options;
      checkCount('start', start, -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
      checkCount('end', end, -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
      return this.#decoded(await this.#scores.byRank(start, end, reverse));
    });
  }

  rangeByScore(options: ScoreRangeOptions = {}): Promise<[member: V, score: number][]> {
    return this.#attempt.call(this.#what, async () => {
      checkOptions('the options of rangeByScore', options, scoreRangeOptions);
      const { limit, reverse = false } = options;
      if ('limit' in options) checkCount('limit', limit, 0, limits.collectionReadMax);
      const { from, to } = endsOf(options);
      return this.#decoded(await this.#scores.byScore(from, to, reverse, limit));
    });
  }

  #call<R>(member: V, work: (text: string, score: number | undefined) => R, more?: unknown): Promise<R> {
    const loaded = async (): Promise<R> => {
      const text = await this.#codec.encode(this.#what, member);
      await this.#scores.load(text);
      return work(text, this.#scores.now(text));
    };
    return this.#attempt.call(this.#what, loaded, more);
  }

  async #decoded(scored: readonly Scored[]): Promise<[V, number][]> {
    const entries: [V, number][] = [];
    for (const [text, score] of scored) entries.push([await this.#codec.decode(this.#what, text), score]);
    return entries;
  }
}

type Scored = readonly [text: string, score: number];

/** The scores of a sorted set: those of the store, and above them what was written. */
export class Scores implements Thing {
  readonly place: Place;
  readonly #attempt: Attempt;
  /** undefined: deleted. */
  readonly #written: Map<string, number | undefined> = new Map();
  /** What is added to scores that nobody read: by batches. */
  readonly added: Map<string, number> = new Map();

  constructor(attempt: Attempt, place: Place) {
    this.#attempt = attempt;
    this.place = place;
  }

  load(text: string): unknown {
    return this.#written.has(text) ? undefined : this.#attempt.read(this.#member(text));
  }

  /** After `load`. */
  now(text: string): number | undefined {
    if (this.#written.has(text)) return this.#written.get(text);
    const [score] = this.#attempt.seen(this.#member(text));
    return score === undefined ? undefined : numberOf(score);
  }

  put(text: string, score: number | undefined): void {
    this.added.delete(text);
    this.#written.set(text, score);
  }

  /** Adds without a look at what there is. */
  add(text: string, by: number): void {
    const isKnown = this.#written.has(text);
    const before = (isKnown ? this.#written.get(text) : this.added.get(text)) ?? 0;
    if (!Number.isFinite(before + by)) throw notFinite(this.place, before, by);
    if (isKnown) this.#written.set(text, before + by);
    else this.added.set(text, before + by);
  }

  /** Whether what is added to a score can be added. */
  fits(text: string): Read {
    const { name } = this.#member(text);
    const parameters = [text, String(this.added.get(text)!)];
    return { id: `sorted.fits ${name}`, name, place: this.place, verb: 'sorted.fits', parameters };
  }

  async size(): Promise<number> {
    const whole = this.#whole('size', []);
    const written = [...this.#written.keys()].map((text) => this.#member(text));
    await Promise.all([whole, ...written].map(async (read) => this.#attempt.read(read)));
    let size = Number(this.#attempt.seen(whole)[0]);
    for (const read of written) {
      if (this.#attempt.seen(read).length > 0) size -= 1;
      if (this.#written.get(read.parameters[0]!) !== undefined) size += 1;
    }
    return size;
  }

  async byRank(start: number, end: number, reverse: boolean): Promise<readonly Scored[]> {
    const max = limits.collectionReadMax;
    const direction = reverse ? '1' : '0';
    if (this.#written.size === 0) {
      return this.#ask(this.#whole('range', [start, end, direction, max]));
    }
    const size = start < 0 || end < 0 ? await this.size() : 0;
    const from = start < 0 ? Math.max(0, size + start) : start;
    const to = end < 0 ? size + end : end;
    if (to <= from) return [];
    // Of what the store has, the written ones may be any: so many more are enough.
    const enough = Math.min(to + this.#written.size, Number.MAX_SAFE_INTEGER);
    const stored = await this.#ask(this.#whole('range', [0, enough, direction, max]));
    return this.#merged(stored, -Infinity, Infinity, reverse).slice(from, to);
  }

  async byScore(from: number, to: number, reverse: boolean, limit: number | undefined): Promise<readonly Scored[]> {
    const max = limits.collectionReadMax;
    const enough = limit === undefined ? -1 : limit + this.#written.size;
    const stored = await this.#ask(this.#whole('rangeByScore', [from, to, reverse ? '1' : '0', enough, max]));
    return this.#merged(stored, from, to, reverse).slice(0, limit);
  }

  writes(): Write[] {
    const additions = [...this.added].map(([text, by]) => ({
      name: this.#member(text).name,
      place: this.place,
      verb: 'sorted.add',
      parameters: [text, String(by)],
    }));
    const writes = [...this.#written].map(([text, score]) => ({
      name: this.#member(text).name,
      place: this.place,
      verb: score === undefined ? 'sorted.delete' : 'sorted.set',
      parameters: score === undefined ? [text] : [text, String(score)],
    }));
    return [...additions, ...writes];
  }

  left(): Left[] {
    const left: Left[] = [];
    for (const [text, score] of this.#written) {
      // Stores print fractions in ways of their own.
      if (score !== undefined && !Number.isSafeInteger(score)) continue;
      const { id } = this.#member(text);
      left.push({ id, texts: score === undefined ? [] : [String(score)] });
    }
    return left;
  }

  #merged(stored: readonly Scored[], from: number, to: number, reverse: boolean): readonly Scored[] {
    if (this.#written.size === 0) return stored;
    const all = stored.filter(([text]) => !this.#written.has(text));
    for (const [text, score] of this.#written) {
      if (score !== undefined && score >= from && score <= to) all.push([text, score]);
    }
    const sign = reverse ? -1 : 1;
    return all.sort((a, b) => sign * (a[1] - b[1] || Buffer.compare(Buffer.from(a[0]), Buffer.from(b[0]))));
  }

  async #ask(read: Read): Promise<readonly Scored[]> {
    const reply = await this.#attempt.read(read);
    if (reply[0] === 'over') throw tooMany(this.place, reply[1]!);
    const found: Scored[] = [];
    for (let i = 1; i + 1 < reply.length; i += 2) found.push([reply[i]!, numberOf(reply[i + 1]!)]);
    return found;
  }

  #whole(what: string, parameters: readonly (string | number)[]): Read {
    const key = this.place.keys[0]!;
    const texts = parameters.map(String);
    const verb = `sorted.${what}`;
    return { id: `${verb} ${key} ${texts.join(' ')}`, name: key, place: this.place, verb, parameters: texts };
  }

  #member(text: string): Read {
    const name = `${this.place.keys[0]!}\n${text}`;
    return { id: `sorted.score ${name}`, name, place: this.place, verb: 'sorted.score', parameters: [text] };
  }
}

/** A score that would be infinite. */
function notFinite({ what }: Place, score: number, by: number): LockstepError {
  return new LockstepError(
    'INVALID_VALUE',
    `${what}: a score of ${score} with ${by} added is not finite; nothing was added`,
    {
      details: { score, by },
    },
  );
}

/** A read of more than `limits.collectionReadMax`. */
export function tooMany({ what }: Place, found: string): LockstepError {
  return invalidArgument(
    'the range',
    found,
    `of at most ${limits.collectionReadMax} elements of ${what} in a transaction`,
  );
}
