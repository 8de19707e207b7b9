/**
 * A map: fields to encoded values.
 *
 *   map    hash    field → value
 *
 * - A guarded write changes the map only while `owner` is still what the guard says, in the same step.
 */
import { guarded } from './guard.ts';
import type { Operation } from './tx.ts';
import { changed } from './watch.ts';

export interface MapKeys {
  map: string;
}

export interface GuardedMapKeys {
  map: string;
  /** Any key of the space where there is no guard. */
  guard: string;
  watchers: string;
}

/** `owner`: '' for an unguarded write. */
export interface MapWrite {
  field: string;
  value: string;
  owner: string;
}

/** The value of a field, or nothing. */
export const get: Operation<MapKeys, { field: string }, readonly string[]> = {
  name: 'map.get',
  keys: ['map'],
  args: { field: 'text' },
  readOnly: true,
  step(tx, keys, ask) {
    const value = tx.hget(keys.map, ask.field);
    return value === undefined ? [] : [value];
  },
};

/** 1: set; -1: the guard's lease is over, nothing was written. */
export const set: Operation<GuardedMapKeys, MapWrite, number> = {
  name: 'map.set',
  keys: ['map', 'guard', 'watchers'],
  args: { field: 'text', value: 'text', owner: 'text' },
  step(tx, keys, ask) {
    if (!guarded(tx, keys.guard, ask.owner)) return -1;
    tx.hset(keys.map, ask.field, ask.value);
    changed(tx, keys.watchers, ask.field);
    return 1;
  },
};

/** 1: deleted; 0: there was none; -1: the guard's lease is over, nothing was written. */
export const remove: Operation<GuardedMapKeys, { field: string; owner: string }, number> = {
  name: 'map.remove',
  keys: ['map', 'guard', 'watchers'],
  args: { field: 'text', owner: 'text' },
  step(tx, keys, ask) {
    if (!guarded(tx, keys.guard, ask.owner)) return -1;
    if (tx.hdel(keys.map, ask.field) === 0) return 0;
    changed(tx, keys.watchers, ask.field);
    return 1;
  },
};

export const size: Operation<MapKeys, Record<never, never>, number> = {
  name: 'map.size',
  keys: ['map'],
  args: {},
  readOnly: true,
  step(tx, keys) {
    return tx.hlen(keys.map);
  },
};
