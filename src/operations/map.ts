/**
 * A map: fields to encoded values.
 *
 *   map    hash    field → value
 *   guard  string  the owner key of the lock that a guarded write was made under
 *
 * - A guarded write changes the map only while `owner` is still what the guard says, in the same step.
 */
import type { Operation, Tx } from './tx.ts';

export interface MapKeys {
  map: string;
}

export interface GuardedMapKeys {
  map: string;
  /** Any key of the space where there is no guard. */
  guard: string;
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
  keys: ['map', 'guard'],
  args: { field: 'text', value: 'text', owner: 'text' },
  step(tx, keys, ask) {
    if (!guarded(tx, keys.guard, ask.owner)) return -1;
    tx.hset(keys.map, ask.field, ask.value);
    return 1;
  },
};

/** 1: deleted; 0: there was none; -1: the guard's lease is over, nothing was written. */
export const remove: Operation<GuardedMapKeys, { field: string; owner: string }, number> = {
  name: 'map.remove',
  keys: ['map', 'guard'],
  args: { field: 'text', owner: 'text' },
  step(tx, keys, ask) {
    if (!guarded(tx, keys.guard, ask.owner)) return -1;
    return tx.hdel(keys.map, ask.field);
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

function guarded(tx: Tx, guard: string, owner: string): boolean {
  return owner === '' || tx.get(guard) === owner;
}
