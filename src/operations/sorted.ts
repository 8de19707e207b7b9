/**
 * A sorted set: encoded values, each with a score.
 *
 *   sorted    sorted set  member → score
 *   watchers  sorted set  who watches it: watch.ts
 *
 * - Ordered by score, then by the bytes of the member.
 * - Scores go out as text that stands for exactly that number, and only finite ones come in.
 * - A guarded write changes the set only while `owner` is still what the guard says, in the same step.
 */
import { guarded } from './guard.ts';
import { rangeFrom, rangeTo } from './range.ts';
import type { BatchOperation, Operation, Tx } from './tx.ts';
import { changed } from './watch.ts';

export interface SortedKeys {
  sorted: string;
}

export interface WatchedSortedKeys extends SortedKeys {
  watchers: string;
}

export interface GuardedSortedKeys extends WatchedSortedKeys {
  /** Any key of the space where there is no guard. */
  guard: string;
}

/** Sets the score. `when`: `always`, or only if it is `absent`, or absent or `greater` or `less` than before. 1 if it did. */
export function setScore(tx: Tx, keys: WatchedSortedKeys, when: string, score: number, member: string): number {
  const before = tx.zscore(keys.sorted, member);
  if (before !== undefined) {
    if (when === 'absent') return 0;
    if (when === 'greater' && score <= before) return 0;
    if (when === 'less' && score >= before) return 0;
  }
  if (before !== score) {
    tx.zadd(keys.sorted, score, member);
    changed(tx, keys.watchers, member);
  }
  return 1;
}

/** The new score; undefined, and nothing done, if it would not be finite. A member that is not there has 0. */
export function addScore(tx: Tx, keys: WatchedSortedKeys, by: number, member: string): number | undefined {
  const sum = (tx.zscore(keys.sorted, member) ?? 0) + by;
  if (sum - sum !== 0) return undefined; // infinite
  const score = tx.zincrby(keys.sorted, by, member);
  changed(tx, keys.watchers, member);
  return score;
}

/** 1 if it was there. */
export function removeScored(tx: Tx, keys: WatchedSortedKeys, member: string): number {
  if (tx.zrem(keys.sorted, member) === 0) return 0;
  changed(tx, keys.watchers, member);
  return 1;
}

/** 1 if there were any members. */
function clearSorted(tx: Tx, keys: WatchedSortedKeys): number {
  if (tx.zcard(keys.sorted) === 0) return 0;
  tx.del(keys.sorted);
  changed(tx, keys.watchers, '');
  return 1;
}

/**
 * How many were set; with `always`, how many are new; -1: the guard's lease is over.
 * keys: sorted, guard, watchers; args: owner, when, then score and member of each.
 */
export const setAll: BatchOperation<number> = {
  name: 'sorted.setAll',
  batch: true,
  step(tx, keys, args) {
    if (!guarded(tx, keys[1]!, args[0]!)) return -1;
    const when = args[1]!;
    const before = tx.zcard(keys[0]!);
    let done = 0;
    for (let i = 3; i < args.length; i += 2) {
      done += setScore(tx, { sorted: keys[0]!, watchers: keys[2]! }, when, tx.number(args[i - 1]!), args[i]!);
    }
    return when === 'always' ? tx.zcard(keys[0]!) - before : done;
  },
};

/** How many were there; -1: the guard's lease is over. keys: sorted, guard, watchers; args: owner, members. */
export const removeAll: BatchOperation<number> = {
  name: 'sorted.removeAll',
  batch: true,
  step(tx, keys, args) {
    if (!guarded(tx, keys[1]!, args[0]!)) return -1;
    let removed = 0;
    for (let i = 1; i < args.length; i++)
      removed += removeScored(tx, { sorted: keys[0]!, watchers: keys[2]! }, args[i]!);
    return removed;
  },
};

export interface Addition {
  by: number;
  member: string;
  owner: string;
}

/** ['ok', the new score], ['refused', the score] if the new one would not be finite, ['lost'] if the guard's lease is over. */
export const add: Operation<GuardedSortedKeys, Addition, readonly string[]> = {
  name: 'sorted.add',
  keys: ['sorted', 'guard', 'watchers'],
  args: { by: 'number', member: 'text', owner: 'text?' },
  step(tx, keys, ask) {
    if (!guarded(tx, keys.guard, ask.owner)) return ['lost'];
    const score = addScore(tx, keys, ask.by, ask.member);
    if (score === undefined) return ['refused', tx.decimal(tx.zscore(keys.sorted, ask.member) ?? 0)];
    return ['ok', tx.decimal(score)];
  },
};

export interface Pop {
  /** 1: from the highest score down. */
  reverse: number;
  count: number;
  owner: string;
}

/** Takes the first or last out: ['ok', member, score, …], or ['lost'] if the guard's lease is over. */
export const pop: Operation<GuardedSortedKeys, Pop, readonly string[]> = {
  name: 'sorted.pop',
  keys: ['sorted', 'guard', 'watchers'],
  args: { reverse: 'integer', count: 'integer', owner: 'text?' },
  step(tx, keys, ask) {
    if (!guarded(tx, keys.guard, ask.owner)) return ['lost'];
    const popped = ['ok'];
    for (let i = 0; i < ask.count; i++) {
      const first = tx.zrangeWithScores(keys.sorted, 0 - ask.reverse, 0 - ask.reverse);
      const member = first[0];
      if (member === undefined) return popped;
      pushScored(tx, popped, first, 0);
      removeScored(tx, keys, member);
    }
    return popped;
  },
};

/** 1: there were members; 0: none; -1: the guard's lease is over. */
export const clear: Operation<GuardedSortedKeys, { owner: string }, number> = {
  name: 'sorted.clear',
  keys: ['sorted', 'guard', 'watchers'],
  args: { owner: 'text?' },
  step(tx, keys, ask) {
    return guarded(tx, keys.guard, ask.owner) ? clearSorted(tx, keys) : -1;
  },
};

/** The score of a member, or nothing. */
export const score: Operation<SortedKeys, { member: string }, readonly string[]> = {
  name: 'sorted.score',
  keys: ['sorted'],
  args: { member: 'text' },
  readOnly: true,
  step(tx, keys, ask) {
    const found = tx.zscore(keys.sorted, ask.member);
    return found === undefined ? [] : [tx.decimal(found)];
  },
};

/** keys: sorted; args: members. Of those that are there, the place among the members (from 0) and the score. */
export const scores: BatchOperation<readonly (string | number)[]> = {
  name: 'sorted.scores',
  batch: true,
  readOnly: true,
  step(tx, keys, args) {
    const found: (string | number)[] = [];
    for (let i = 0; i < args.length; i++) {
      const known = tx.zscore(keys[0]!, args[i]!);
      if (known !== undefined) {
        found.push(i);
        found.push(tx.decimal(known));
      }
    }
    return found;
  },
};

/** How many come before a member, from the lowest or the highest score; -1: it is not there. */
export const rank: Operation<SortedKeys, { member: string; reverse: number }, number> = {
  name: 'sorted.rank',
  keys: ['sorted'],
  args: { member: 'text', reverse: 'integer' },
  readOnly: true,
  step(tx, keys, ask) {
    const before = tx.zrank(keys.sorted, ask.member);
    if (before === undefined) return -1;
    return ask.reverse === 1 ? tx.zcard(keys.sorted) - 1 - before : before;
  },
};

export const size: Operation<SortedKeys, Record<never, never>, number> = {
  name: 'sorted.size',
  keys: ['sorted'],
  args: {},
  readOnly: true,
  step(tx, keys) {
    return tx.zcard(keys.sorted);
  },
};

/** How many have `from` <= score <= `to`. */
export const count: Operation<SortedKeys, { from: number; to: number }, number> = {
  name: 'sorted.count',
  keys: ['sorted'],
  args: { from: 'number', to: 'number' },
  readOnly: true,
  step(tx, keys, ask) {
    return tx.zcount(keys.sorted, ask.from, ask.to);
  },
};

export interface Ranks {
  start: number;
  stop: number;
  reverse: number;
  max: number;
}

/** The members of these ranks, as of `slice`: ['ok', member, score, …], or ['over', n] if they are more than `max`. */
export function rangeByRank(tx: Tx, keys: SortedKeys, ask: Ranks): string[] {
  const members = tx.zcard(keys.sorted);
  const from = rangeFrom(members, ask.start);
  const to = rangeTo(members, ask.stop);
  if (to < from) return ['ok'];
  if (to - from + 1 > ask.max) return ['over', tx.text(to - from + 1)];
  if (ask.reverse === 0) return scored(tx, tx.zrangeWithScores(keys.sorted, from, to), 0);
  return scored(tx, tx.zrangeWithScores(keys.sorted, members - 1 - to, members - 1 - from), 1);
}

/** See `rangeByRank`. */
export const range: Operation<SortedKeys, Ranks, readonly string[]> = {
  name: 'sorted.range',
  keys: ['sorted'],
  args: { start: 'integer', stop: 'integer', reverse: 'integer', max: 'integer' },
  readOnly: true,
  step(tx, keys, ask) {
    return rangeByRank(tx, keys, ask);
  },
};

export interface Scores {
  from: number;
  to: number;
  reverse: number;
  /** -1: all of them, if they are no more than `max`. */
  limit: number;
  max: number;
}

/** Those with `from` <= score <= `to`: ['ok', member, score, …], or ['over', n] if they are more than `max`. */
export function rangeByScores(tx: Tx, keys: SortedKeys, ask: Scores): string[] {
  if (ask.limit < 0) {
    const members = tx.zcount(keys.sorted, ask.from, ask.to);
    if (members > ask.max) return ['over', tx.text(members)];
  }
  const limit = ask.limit < 0 ? ask.max : ask.limit;
  if (ask.reverse === 0) return scored(tx, tx.zrangeByScoreWithScores(keys.sorted, ask.from, ask.to, limit), 0);
  return scored(tx, tx.zrevrangeByScoreWithScores(keys.sorted, ask.to, ask.from, limit), 0);
}

/** See `rangeByScores`. */
export const rangeByScore: Operation<SortedKeys, Scores, readonly string[]> = {
  name: 'sorted.rangeByScore',
  keys: ['sorted'],
  args: { from: 'number', to: 'number', reverse: 'integer', limit: 'integer', max: 'integer' },
  readOnly: true,
  step(tx, keys, ask) {
    return rangeByScores(tx, keys, ask);
  },
};

/**
 * One page of all, in order, with scores. It goes on behind the first of `args` that still has its score, as all before
 * that were given; where none has, at the score itself. keys: sorted; args: count, then some of the last page with
 * their scores, the last one first.
 */
export const page: BatchOperation<readonly (string | number)[]> = {
  name: 'sorted.page',
  batch: true,
  readOnly: true,
  step(tx, keys, args) {
    const sorted = { sorted: keys[0]! };
    const many = tx.number(args[0]!);
    for (let i = 2; i < args.length; i += 2) {
      const known = tx.zscore(sorted.sorted, args[i - 1]!);
      if (known !== undefined && known === tx.number(args[i]!)) {
        const from = (tx.zrank(sorted.sorted, args[i - 1]!) ?? 0) + 1;
        return scored(tx, tx.zrangeWithScores(sorted.sorted, from, from + many - 1), 0);
      }
    }
    if (args.length < 3) return scored(tx, tx.zrangeWithScores(sorted.sorted, 0, many - 1), 0);
    const least = tx.zrangeByScore(sorted.sorted, tx.number(args[2]!), tx.number('Infinity'), 1)[0];
    if (least === undefined) return ['ok'];
    const start = tx.zrank(sorted.sorted, least) ?? 0;
    return scored(tx, tx.zrangeWithScores(sorted.sorted, start, start + many - 1), 0);
  },
};

/** 'ok', then members with their scores, of what the store has found; `backwards`: the last one first. */
function scored(tx: Tx, entries: readonly string[], backwards: number): string[] {
  const found = ['ok'];
  for (let i = 0; i < entries.length; i += 2) {
    pushScored(tx, found, entries, backwards === 1 ? entries.length - 2 - i : i);
  }
  return found;
}

function pushScored(tx: Tx, found: string[], entries: readonly string[], place: number): void {
  found.push(entries[place]!);
  found.push(tx.decimal(tx.number(entries[place + 1]!)));
}
