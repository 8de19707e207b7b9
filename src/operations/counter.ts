/**
 * A counter: an integer of 64 bits, either sign; absent = 0.
 *
 *   counter   string      the value in decimal
 *   watchers  sorted set  who watches it: watch.ts
 *
 * - Values and what is added go as text: Lua's numbers are exact up to 2^53 only, and clients of Redis are known to
 *   misread integers close to that (ioredis 6.0, by one).
 * - The caller says between which values the counter must be for a step to be exact and within the caller's bounds;
 *   else nothing is written. So no sum is ever computed but by the store's own INCRBY.
 */
import { guarded } from './guard.ts';
import type { BatchOperation, Operation, Tx } from './tx.ts';
import { changed } from './watch.ts';

export interface CounterKeys {
  counter: string;
}

export interface WatchedCounterKeys extends CounterKeys {
  watchers: string;
}

export interface GuardedCounterKeys extends WatchedCounterKeys {
  /** Any key of the space where there is no guard. */
  guard: string;
}

/** The value must be an integer with `from` <= value <= `to`. */
export interface CounterRange {
  from: string;
  to: string;
}

/** `refused`: the value that the store holds is not between `from` and `to`. */
export type CounterAnswer = readonly [verdict: 'ok' | 'refused', value: string];
/** `lost`: the guard's lease is over. */
export type CounterReply = CounterAnswer | readonly [verdict: 'lost', value: ''];

/** Adds `by`: the new value. */
export const add: Operation<GuardedCounterKeys, CounterRange & { by: string; owner: string }, CounterReply> = {
  name: 'counter.add',
  keys: ['counter', 'guard', 'watchers'],
  args: { by: 'text', from: 'text', to: 'text', owner: 'text?' },
  step(tx, keys, ask) {
    if (!guarded(tx, keys.guard, ask.owner)) return ['lost', ''];
    return addWithin(tx, keys, ask.by, ask.from, ask.to);
  },
};

/**
 * Adds one after the other, each only if it fits. keys: counter, guard, watchers; args: owner, then by, from and to of each.
 * The reply has a verdict and a value for each, or is ['lost'].
 */
export const addEach: BatchOperation<readonly string[]> = {
  name: 'counter.addEach',
  batch: true,
  step(tx, keys, args) {
    if (!guarded(tx, keys[1]!, args[0]!)) return ['lost'];
    const counter = { counter: keys[0]!, watchers: keys[2]! };
    const replies: string[] = [];
    for (let i = 1; i + 2 < args.length; i += 3) {
      const added = addWithin(tx, counter, args[i]!, args[i + 1]!, args[i + 2]!);
      replies.push(added[0]);
      replies.push(added[1]);
    }
    return replies;
  },
};

export const get: Operation<CounterKeys, CounterRange, CounterAnswer> = {
  name: 'counter.get',
  keys: ['counter'],
  args: { from: 'text', to: 'text' },
  readOnly: true,
  step(tx, keys, ask) {
    const stored = tx.get(keys.counter) ?? '0';
    return [tx.within(stored, ask.from, ask.to) ? 'ok' : 'refused', stored];
  },
};

/** What a counter is set to; `expected`: only if that is its value now, '' for any. */
export interface CounterSet extends CounterRange {
  value: string;
  expected: string;
  owner: string;
}

/** Sets the value: the one that was there, which it replaced unless another was expected. */
export const set: Operation<GuardedCounterKeys, CounterSet, CounterReply> = {
  name: 'counter.set',
  keys: ['counter', 'guard', 'watchers'],
  args: { from: 'text', to: 'text', value: 'text', expected: 'text', owner: 'text?' },
  step(tx, keys, ask) {
    if (!guarded(tx, keys.guard, ask.owner)) return ['lost', ''];
    const stored = tx.get(keys.counter) ?? '0';
    if (!tx.within(stored, ask.from, ask.to)) return ['refused', stored];
    if (ask.expected === '' || ask.expected === stored) setCounter(tx, keys, ask.value);
    return ['ok', stored];
  },
};

/** Adds `by` to a counter between `from` and `to`: ['ok', the new value], or ['refused', what there is]. */
export function addWithin(tx: Tx, keys: WatchedCounterKeys, by: string, from: string, to: string): CounterAnswer {
  const stored = tx.get(keys.counter) ?? '0';
  if (!tx.within(stored, from, to)) return ['refused', stored];
  const sum = tx.incrby(keys.counter, by);
  changed(tx, keys.watchers, '');
  return ['ok', sum];
}

export function setCounter(tx: Tx, keys: WatchedCounterKeys, value: string): void {
  tx.set(keys.counter, value);
  changed(tx, keys.watchers, '');
}
