/**
 * A counter: an integer of at most 2^53 - 1 in size, either sign; absent = 0.
 *
 *   counter  string  the value in decimal
 *
 * - Values come back as text: clients of Redis are known to misread integers close to 2^53 (ioredis 6.0, by one).
 * - A step either does all that it was asked, or leaves the counter as it was.
 */
import type { Operation } from './tx.ts';

export interface CounterKeys {
  counter: string;
}

/** `refused`: not an integer in the store, or the sum would not be exact. */
export type CounterReply = readonly ['ok', value: string] | readonly ['refused', stored: string];

/** Adds `by`: the new value. */
export const add: Operation<CounterKeys, { by: number }, CounterReply> = {
  name: 'counter.add',
  keys: ['counter'],
  args: { by: 'integer' },
  step(tx, keys, ask) {
    const stored = tx.get(keys.counter) ?? '0';
    const old = tx.integer(stored);
    if (old === undefined) return ['refused', stored];
    const value = old + ask.by;
    if (value > Number.MAX_SAFE_INTEGER || value < -Number.MAX_SAFE_INTEGER) return ['refused', stored];
    const text = tx.text(value);
    tx.set(keys.counter, text);
    return ['ok', text];
  },
};

export const get: Operation<CounterKeys, Record<never, never>, CounterReply> = {
  name: 'counter.get',
  keys: ['counter'],
  args: {},
  readOnly: true,
  step(tx, keys) {
    const stored = tx.get(keys.counter) ?? '0';
    return tx.integer(stored) === undefined ? ['refused', stored] : ['ok', stored];
  },
};

/** Sets the value: the one that it replaces. */
export const set: Operation<CounterKeys, { value: number }, CounterReply> = {
  name: 'counter.set',
  keys: ['counter'],
  args: { value: 'integer' },
  step(tx, keys, ask) {
    const stored = tx.get(keys.counter) ?? '0';
    if (tx.integer(stored) === undefined) return ['refused', stored];
    tx.set(keys.counter, tx.text(ask.value));
    return ['ok', stored];
  },
};
