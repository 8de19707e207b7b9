/** The verbs of sorted sets as prepared statements. */
import { neighbour } from '../../base/neighbour.ts';
import type { Tx } from '../../operations/tx.ts';
import { type Row, type Statement, texts } from './driver.ts';
import { type Few, pairsOf } from './few.ts';
import type { Key } from './keys.ts';
import { isCounted, type Place, type Ranks, type RankSizes } from './ranks.ts';
import { rangeOf } from './range.ts';
import type { Members } from './slots.ts';

type SortedVerb =
  | 'zadd'
  | 'zaddNew'
  | 'zrem'
  | 'zincrby'
  | 'zscore'
  | 'zrank'
  | 'zcard'
  | 'zrange'
  | 'zrangeWithScores'
  | 'zrangeByScore'
  | 'zrevrangeByScore'
  | 'zrangeByScoreWithScores'
  | 'zrevrangeByScoreWithScores'
  | 'zcount'
  | 'zbefore';

/** What the verbs need of the store. */
export interface SortedParts {
  /** A live sorted set, if there is one. */
  read(key: string): Key | undefined;
  /** As `read`: a new one where there is none. */
  open(key: string): Key;
  resize(key: Key, by: 1 | -1): void;
  members: Members;
  ranks: Ranks;
  sizes: RankSizes;
  /** Somebody asks for ranks of a large set that is not counted. */
  uncounted(key: string): void;
}

/** `sql` prepares a statement. */
export function sortedVerbs(sql: (text: string) => Statement, parts: SortedParts): Pick<Tx, SortedVerb> {
  const { read, open, resize, members, ranks, sizes, uncounted } = parts;

  function zscore(key: string, member: string): number | undefined {
    const found = read(key);
    return found === undefined ? undefined : (members.get(found, member) as number | undefined);
  }

  /** `was`: the score that the member has. */
  function zput(key: string, given: number, member: string, was: number | undefined): number {
    const score = given + 0; // no -0
    if (was === score) return 0;
    const found = open(key); // it clears away what has expired
    if (was === undefined) {
      members.put(found, member, true, score);
      if (found.start !== 0) ranks.added(found, [score, member]);
      resize(found, 1);
      return 1;
    }
    members.put(found, member, false, score);
    if (found.start !== 0) ranks.moved(found, [was, member], [score, member]);
    return 0;
  }

  /** Whether the places of so many members are walked through. If not, they are counted. */
  function walks(set: Key, count: number): boolean {
    if (count <= sizes.walkMax) return true;
    if (isCounted(set)) return false;
    uncounted(set.key);
    return true;
  }

  function rowsByRank(key: string, from: number, to: number): Row[] {
    const found = read(key);
    const range = found === undefined ? undefined : rangeOf(found.size, from, to);
    if (found === undefined || range === undefined) return [];
    const [first, last] = range;
    if (found.few !== undefined) return pairsOf(found.few).slice(first, last + 1);
    const limit = last - first + 1;
    const behind = found.size - 1 - last;
    if (!walks(found, Math.min(first, behind))) {
      const { from: place, left } = ranks.near(found, first);
      const near = sql(
        'SELECT member, score FROM sorted WHERE number = ? AND (score, member) >= (?, ?) ' +
          'ORDER BY score, member LIMIT ? OFFSET ?',
      );
      return near.all(found.number, ...place, limit, left);
    }
    // From the nearer end: an offset is walked row by row.
    if (first <= behind) {
      const forwards = sql('SELECT member, score FROM sorted WHERE number = ? ORDER BY score, member LIMIT ? OFFSET ?');
      return forwards.all(found.number, limit, first);
    }
    const backwards = sql(
      'SELECT member, score FROM sorted WHERE number = ? ORDER BY score DESC, member DESC LIMIT ? OFFSET ?',
    );
    return backwards.all(found.number, limit, behind).reverse();
  }

  function rowsByScore(key: string, from: number, to: number, limit: number): Row[] {
    const found = read(key);
    if (found === undefined) return [];
    if (found.few !== undefined) return withinScores(found.few, from, to).slice(0, limit);
    const upwards = sql(
      'SELECT member, score FROM sorted WHERE number = ? AND score BETWEEN ? AND ? ORDER BY score, member LIMIT ?',
    );
    return upwards.all(found.number, from, to, limit);
  }

  function rowsByScoreDown(key: string, to: number, from: number, limit: number): Row[] {
    const found = read(key);
    if (found === undefined) return [];
    if (found.few !== undefined) return withinScores(found.few, from, to).reverse().slice(0, limit);
    const downwards = sql(
      'SELECT member, score FROM sorted WHERE number = ? AND score BETWEEN ? AND ? ORDER BY score DESC, member DESC LIMIT ?',
    );
    return downwards.all(found.number, from, to, limit);
  }

  /** How many members come before a place. */
  function before(found: Key, place: Place): number {
    if (found.few !== undefined) return found.few.indexOf(place[1]) / 2;
    if (!walks(found, found.size)) return ranks.before(found, place);
    const below = sql('SELECT count(*) FROM sorted WHERE number = ? AND (score, member) < (?, ?)');
    return below.get(found.number, ...place)![0] as number;
  }

  /** How many members have `from` <= score <= `to`, up to `most`. */
  function countUpTo(found: Key, from: number, to: number, most: number): number {
    const some = sql('SELECT count(*) FROM (SELECT 1 FROM sorted WHERE number = ? AND score BETWEEN ? AND ? LIMIT ?)');
    return some.get(found.number, from, to, most)![0] as number;
  }

  return {
    zadd: (key, score, member) => zput(key, score, member, zscore(key, member)),
    zaddNew(key, score, member) {
      return zscore(key, member) === undefined ? zput(key, score, member, undefined) : 0;
    },
    zrem(key, member) {
      const found = read(key);
      if (found === undefined) return 0;
      const score = found.start === 0 ? undefined : zscore(key, member);
      if (!members.remove(found, member)) return 0;
      if (score !== undefined) ranks.removed(found, [score, member]);
      resize(found, -1);
      return 1;
    },
    zincrby(key, by, member) {
      const was = zscore(key, member);
      const score = (was ?? 0) + by;
      zput(key, score, member, was);
      return score;
    },
    zscore,
    zrank(key, member) {
      const score = zscore(key, member);
      return score === undefined ? undefined : before(read(key)!, [score, member]);
    },
    zcard(key) {
      return read(key)?.size ?? 0;
    },
    zrange: (key, from, to) => texts(rowsByRank(key, from, to)),
    zrangeWithScores: (key, from, to) => withScores(rowsByRank(key, from, to)),
    zrangeByScore: (key, from, to, limit) => texts(rowsByScore(key, from, to, limit)),
    zrevrangeByScore: (key, to, from, limit) => texts(rowsByScoreDown(key, to, from, limit)),
    zrangeByScoreWithScores: (key, from, to, limit) => withScores(rowsByScore(key, from, to, limit)),
    zrevrangeByScoreWithScores: (key, to, from, limit) => withScores(rowsByScoreDown(key, to, from, limit)),
    zcount(key, from, to) {
      const found = read(key);
      if (found === undefined) return 0;
      if (found.few !== undefined) return withinScores(found.few, from, to).length;
      const some = countUpTo(found, from, to, sizes.walkMax + 1);
      if (some <= sizes.walkMax) return some;
      if (walks(found, found.size)) return countUpTo(found, from, to, -1);
      const end = to === Infinity ? found.size : ranks.before(found, [neighbour(to, 1), '']);
      return end - ranks.before(found, [from, '']);
    },
    zbefore(key, score) {
      const found = read(key);
      if (found === undefined) return undefined;
      if (found.few !== undefined) {
        return pairsOf(found.few).findLast(([, its]) => (its as number) < score)?.[0] as string | undefined;
      }
      const below = sql(
        'SELECT member FROM sorted WHERE number = ? AND score < ? ORDER BY score DESC, member DESC LIMIT 1',
      );
      return below.get(found.number, score)?.[0] as string | undefined;
    },
  };
}

function withinScores(few: Few, from: number, to: number): Row[] {
  return pairsOf(few).filter(([, score]) => from <= (score as number) && (score as number) <= to);
}

function withScores(rows: readonly Row[]): string[] {
  return rows.flatMap(([member, score]) => [member as string, String(score)]);
}
