/**
 * A set: members as encoded values.
 *
 *   set       set         members
 *   watchers  sorted set  who watches it: watch.ts
 *
 * - A guarded write changes the set only while `owner` is still what the guard says, in the same step.
 */
import { guarded } from './guard.ts';
import type { BatchOperation, Operation, Tx } from './tx.ts';
import { changed } from './watch.ts';

export interface SetKeys {
  set: string;
}

export interface WatchedSetKeys extends SetKeys {
  watchers: string;
}

export interface GuardedSetKeys extends WatchedSetKeys {
  /** Any key of the space where there is no guard. */
  guard: string;
}

/** 1 if it is new. */
export function addMember(tx: Tx, keys: WatchedSetKeys, member: string): number {
  if (tx.sadd(keys.set, member) === 0) return 0;
  changed(tx, keys.watchers, member);
  return 1;
}

/** 1 if it was there. */
export function removeMember(tx: Tx, keys: WatchedSetKeys, member: string): number {
  if (tx.srem(keys.set, member) === 0) return 0;
  changed(tx, keys.watchers, member);
  return 1;
}

/** 1 if there were any. */
function clearSet(tx: Tx, keys: WatchedSetKeys): number {
  if (tx.scard(keys.set) === 0) return 0;
  tx.del(keys.set);
  changed(tx, keys.watchers, '');
  return 1;
}

/** How many are new; -1: the guard's lease is over. keys: set, guard, watchers; args: owner, members. */
export const addAll: BatchOperation<number> = {
  name: 'set.addAll',
  batch: true,
  step(tx, keys, args) {
    if (!guarded(tx, keys[1]!, args[0]!)) return -1;
    let added = 0;
    for (let i = 1; i < args.length; i++) added += addMember(tx, { set: keys[0]!, watchers: keys[2]! }, args[i]!);
    return added;
  },
};

/** How many were there; -1: the guard's lease is over. keys: set, guard, watchers; args: owner, members. */
export const removeAll: BatchOperation<number> = {
  name: 'set.removeAll',
  batch: true,
  step(tx, keys, args) {
    if (!guarded(tx, keys[1]!, args[0]!)) return -1;
    let removed = 0;
    for (let i = 1; i < args.length; i++) removed += removeMember(tx, { set: keys[0]!, watchers: keys[2]! }, args[i]!);
    return removed;
  },
};

/** Takes any member out: ['ok', member], ['ok'] if there is none, ['lost'] if the guard's lease is over. */
export const pop: Operation<GuardedSetKeys, { owner: string }, readonly string[]> = {
  name: 'set.pop',
  keys: ['set', 'guard', 'watchers'],
  args: { owner: 'text?' },
  step(tx, keys, ask) {
    if (!guarded(tx, keys.guard, ask.owner)) return ['lost'];
    const member = tx.spop(keys.set);
    if (member === undefined) return ['ok'];
    changed(tx, keys.watchers, member);
    return ['ok', member];
  },
};

/** 1: there were members; 0: none; -1: the guard's lease is over. */
export const clear: Operation<GuardedSetKeys, { owner: string }, number> = {
  name: 'set.clear',
  keys: ['set', 'guard', 'watchers'],
  args: { owner: 'text?' },
  step(tx, keys, ask) {
    return guarded(tx, keys.guard, ask.owner) ? clearSet(tx, keys) : -1;
  },
};

/** 1 if it is there. */
export const has: Operation<SetKeys, { member: string }, number> = {
  name: 'set.has',
  keys: ['set'],
  args: { member: 'text' },
  readOnly: true,
  step(tx, keys, ask) {
    return tx.sismember(keys.set, ask.member) ? 1 : 0;
  },
};

/** keys: set; args: members. The places (from 0) among the members of those that are there. */
export const hasMany: BatchOperation<readonly (string | number)[]> = {
  name: 'set.hasMany',
  batch: true,
  readOnly: true,
  step(tx, keys, args) {
    const found: (string | number)[] = [];
    for (let i = 0; i < args.length; i++) if (tx.sismember(keys[0]!, args[i]!)) found.push(i);
    return found;
  },
};

export const size: Operation<SetKeys, Record<never, never>, number> = {
  name: 'set.size',
  keys: ['set'],
  args: {},
  readOnly: true,
  step(tx, keys) {
    return tx.scard(keys.set);
  },
};

// Several sets at once. How: `union`, `intersection`, `difference` (the first without the others) or `exclusive` (of two)

/** ['ok', …members], in no order; ['over', n] if more than `max` had to be looked at. keys: sets; args: how, max. */
export const combine: BatchOperation<readonly (string | number)[]> = {
  name: 'set.combine',
  batch: true,
  readOnly: true,
  step(tx, keys, args) {
    const effort = effortOf(tx, keys, args[0]!);
    if (effort > tx.number(args[1]!)) return ['over', effort];
    const found: (string | number)[] = ['ok'];
    for (const member of combined(tx, keys, args[0]!)) found.push(member);
    return found;
  },
};

/** How many there would be, as ['ok', n], or ['over', n]. keys: sets; args: how, max. */
export const measure: BatchOperation<readonly (string | number)[]> = {
  name: 'set.measure',
  batch: true,
  readOnly: true,
  step(tx, keys, args) {
    const effort = effortOf(tx, keys, args[0]!);
    if (effort > tx.number(args[1]!)) return ['over', effort];
    return ['ok', combined(tx, keys, args[0]!).length];
  },
};

/**
 * Puts what comes out in the place of a set: ['ok', n], ['over', n], or ['lost'] if the guard's lease is over.
 * keys: that set, guard, watchers, then the sets; args: owner, how, max.
 */
export const store: BatchOperation<readonly (string | number)[]> = {
  name: 'set.store',
  batch: true,
  step(tx, keys, args) {
    if (!guarded(tx, keys[1]!, args[0]!)) return ['lost'];
    const sources: string[] = [];
    for (let i = 3; i < keys.length; i++) sources.push(keys[i]!);
    const effort = effortOf(tx, sources, args[1]!);
    if (effort > tx.number(args[2]!)) return ['over', effort];
    const members = combined(tx, sources, args[1]!);
    clearSet(tx, { set: keys[0]!, watchers: keys[2]! });
    for (const member of members) tx.sadd(keys[0]!, member);
    if (members.length > 0) changed(tx, keys[2]!, '');
    return ['ok', members.length];
  },
};

function combined(tx: Tx, sets: readonly string[], how: string): string[] {
  if (how === 'union') return tx.sunion(sets);
  if (how === 'intersection') return tx.sinter(sets);
  const found = tx.sdiff(sets);
  if (how === 'exclusive') for (const member of tx.sdiff([sets[1]!, sets[0]!])) found.push(member);
  return found;
}

/** How many members have to be looked at. */
function effortOf(tx: Tx, keys: readonly string[], how: string): number {
  let sum = 0;
  let least = Number.MAX_SAFE_INTEGER;
  for (let i = 0; i < keys.length; i++) {
    const members = tx.scard(keys[i]!);
    sum += members;
    least = Math.min(least, members);
  }
  if (how === 'intersection') return least;
  return how === 'difference' ? tx.scard(keys[0]!) : sum;
}
