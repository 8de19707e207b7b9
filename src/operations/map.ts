/**
 * A map: fields to encoded values.
 *
 *   map       hash          field → value
 *   expiry    sorted set    `SHA1:FIELD` by the end of the entry, in µs of the store's clock: only entries that have one
 *   watchers  sorted set    who watches it: watch.ts
 *   guard     string        see guard.ts
 *   turn      string        the owner key of the lock that updates of an entry take when they meet too often
 *
 * - An entry is over from its end on: no step shows or counts it, and writes remove a few of those that are.
 * - An end belongs to a value, by its SHA-1: an entry that a program without lockstep wrote anew has none, and is
 *   neither hidden nor removed.
 * - Each write tells those who watch, in its own step.
 */
import { guarded } from './guard.ts';
import type { BatchOperation, Operation, Tx } from './tx.ts';
import { isTurnOfOther } from './value.ts';
import { changed } from './watch.ts';

/** Entries that are over and that a write removes by the way. */
const sweptByWrite = 10;
/** Entries that one sweep removes, and that one step clears. */
const sweptMax = 1_000;

// Steps, for these operations and for commits

export interface MapKeys {
  map: string;
  expiry: string;
}

export interface WatchedMapKeys {
  map: string;
  expiry: string;
  watchers: string;
}

export function readEntry(tx: Tx, keys: MapKeys, field: string): string | undefined {
  const value = tx.hget(keys.map, field);
  if (value === undefined) return undefined;
  const endUs = endOf(tx, keys, field, value);
  if (endUs !== undefined && endUs <= tx.nowUs()) return undefined;
  return value;
}

/** Whether there is an entry; its value is not looked at where no entry of the map has an end. */
function hasEntry(tx: Tx, keys: MapKeys, field: string): boolean {
  if (tx.exists(keys.expiry)) return readEntry(tx, keys, field) !== undefined;
  return tx.hexists(keys.map, field);
}

/** `ms`: how long the entry lives; 0: without end; -1: as long as what it replaces. */
export function putEntry(tx: Tx, keys: WatchedMapKeys, field: string, value: string, ms: number): void {
  if (ms > 0 || tx.exists(keys.expiry)) setEnd(tx, keys, field, value, ms);
  tx.hset(keys.map, field, value);
  changed(tx, keys.watchers, field);
}

/** 1 if there was one. */
export function removeEntry(tx: Tx, keys: WatchedMapKeys, field: string): number {
  let live = true;
  if (tx.exists(keys.expiry)) {
    live = hasEntry(tx, keys, field);
    sweepEntries(tx, keys, sweptByWrite);
    forgetEnd(tx, keys, field);
  }
  if (tx.hdel(keys.map, field) === 0) return 0;
  changed(tx, keys.watchers, field);
  return live ? 1 : 0;
}

/** Exact unless more than `sweptMax` entries are over that nobody has removed yet: then those beyond are counted. */
export function countEntries(tx: Tx, keys: MapKeys): number {
  let count = tx.hlen(keys.map);
  for (const member of over(tx, keys, sweptMax)) {
    if (isTrue(tx, keys, member)) count -= 1;
  }
  return count;
}

/** Removes entries that are over, `most` at most. */
function sweepEntries(tx: Tx, keys: WatchedMapKeys, most: number): void {
  for (const member of over(tx, keys, most)) {
    if (isTrue(tx, keys, member)) {
      tx.hdel(keys.map, tx.rest(member, 1));
      changed(tx, keys.watchers, tx.rest(member, 1));
    }
    tx.zrem(keys.expiry, member);
  }
}

/** Members of `expiry` whose time has come. */
function over(tx: Tx, keys: MapKeys, most: number): string[] {
  return tx.zrangeByScore(keys.expiry, 0, tx.nowUs(), most);
}

/** Whether the end is that of the entry as it is now. */
function isTrue(tx: Tx, keys: MapKeys, member: string): boolean {
  const value = tx.hget(keys.map, tx.rest(member, 1));
  return value !== undefined && tx.sha1hex(value) === tx.part(member, 0);
}

function endOf(tx: Tx, keys: MapKeys, field: string, value: string): number | undefined {
  if (!tx.exists(keys.expiry)) return undefined;
  return tx.zscore(keys.expiry, tx.sha1hex(value) + ':' + field);
}

/** Before `value` is written. */
function setEnd(tx: Tx, keys: WatchedMapKeys, field: string, value: string, ms: number): void {
  const before = readEntry(tx, keys, field); // first: another kind of thing is not written over
  let endUs: number | undefined;
  if (before !== undefined) endUs = endOf(tx, keys, field, before);
  sweepEntries(tx, keys, sweptByWrite);
  forgetEnd(tx, keys, field);
  const member = tx.sha1hex(value) + ':' + field;
  if (ms > 0) tx.zadd(keys.expiry, tx.nowUs() + ms * 1_000, member);
  else if (ms < 0 && endUs !== undefined) tx.zadd(keys.expiry, endUs, member);
  else tx.zrem(keys.expiry, member); // of an earlier life of the same value
}

function forgetEnd(tx: Tx, keys: MapKeys, field: string): void {
  const value = tx.hget(keys.map, field);
  if (value !== undefined) tx.zrem(keys.expiry, tx.sha1hex(value) + ':' + field);
}

// Operations

/** The value of a field, or nothing. */
export const get: Operation<MapKeys, { field: string }, readonly string[]> = {
  name: 'map.get',
  keys: ['map', 'expiry'],
  args: { field: 'text' },
  readOnly: true,
  step(tx, keys, ask) {
    const value = readEntry(tx, keys, ask.field);
    return value === undefined ? [] : [value];
  },
};

export const has: Operation<MapKeys, { field: string }, number> = {
  name: 'map.has',
  keys: ['map', 'expiry'],
  args: { field: 'text' },
  readOnly: true,
  step(tx, keys, ask) {
    return hasEntry(tx, keys, ask.field) ? 1 : 0;
  },
};

/** keys: map, expiry; args: fields. Of those that are there, the place among the fields (from 0) and the value. */
export const getMany: BatchOperation<readonly (string | number)[]> = {
  name: 'map.getMany',
  batch: true,
  readOnly: true,
  step(tx, keys, args) {
    const at: MapKeys = { map: keys[0]!, expiry: keys[1]! };
    const found: (string | number)[] = [];
    for (let i = 0; i < args.length; i++) {
      const value = readEntry(tx, at, args[i]!);
      if (value !== undefined) {
        found.push(i);
        found.push(value);
      }
    }
    return found;
  },
};

/** 1 if some entries have an end: what a scan finds may then be over. */
export const hasEnds: Operation<MapKeys, Record<never, never>, number> = {
  name: 'map.hasEnds',
  keys: ['map', 'expiry'],
  args: {},
  readOnly: true,
  step(tx, keys) {
    return tx.exists(keys.expiry) ? 1 : 0;
  },
};

/** The number of entries, and 1 if it is not exact before `sweep` removed some. */
export const size: Operation<MapKeys, Record<never, never>, readonly number[]> = {
  name: 'map.size',
  keys: ['map', 'expiry'],
  args: {},
  readOnly: true,
  step(tx, keys) {
    const inexact = tx.zcount(keys.expiry, 0, tx.nowUs()) > sweptMax ? 1 : 0;
    const count = countEntries(tx, keys);
    return [count, inexact];
  },
};

/** ms that an entry has left; -1: without end; -2: there is none. */
export const remaining: Operation<MapKeys, { field: string }, number> = {
  name: 'map.remaining',
  keys: ['map', 'expiry'],
  args: { field: 'text' },
  readOnly: true,
  step(tx, keys, ask) {
    const value = readEntry(tx, keys, ask.field);
    if (value === undefined) return -2;
    const endUs = endOf(tx, keys, ask.field, value);
    return endUs === undefined ? -1 : Math.floor((endUs - tx.nowUs()) / 1_000);
  },
};

export interface WriteKeys {
  map: string;
  expiry: string;
  watchers: string;
  /** Any key of the space where there is no guard. */
  guard: string;
}

/** `ms`: see `putEntry`. `owner`: that of the guard, '' for an unguarded write. */
export interface Write {
  field: string;
  value: string;
  ms: number;
  owner: string;
}

/** 1: set; -1: the guard is over, nothing was written. */
export const set: Operation<WriteKeys, Write, number> = {
  name: 'map.set',
  keys: ['map', 'expiry', 'watchers', 'guard'],
  args: { field: 'text', value: 'text', ms: 'integer?', owner: 'text?' },
  step(tx, keys, ask) {
    if (!guarded(tx, keys.guard, ask.owner)) return -1;
    putEntry(tx, keys, ask.field, ask.value, ask.ms);
    return 1;
  },
};

/** 1: all are set; -1: the guard is over, nothing was written. keys: as `set`; args: owner, ms, then field, value of each. */
export const setMany: BatchOperation<number> = {
  name: 'map.setMany',
  batch: true,
  step(tx, keys, args) {
    if (!guarded(tx, keys[3]!, args[0]!)) return -1;
    const at: WatchedMapKeys = { map: keys[0]!, expiry: keys[1]!, watchers: keys[2]! };
    const ms = tx.integer(args[1]!) ?? 0;
    for (let i = 2; i + 1 < args.length; i += 2) putEntry(tx, at, args[i]!, args[i + 1]!, ms);
    return 1;
  },
};

/** ['ok', the value that was replaced, if there was one], or ['lost']: the guard is over, nothing was written. */
export const swap: Operation<WriteKeys, Write, readonly string[]> = {
  name: 'map.swap',
  keys: ['map', 'expiry', 'watchers', 'guard'],
  args: { field: 'text', value: 'text', ms: 'integer?', owner: 'text?' },
  step(tx, keys, ask) {
    if (!guarded(tx, keys.guard, ask.owner)) return ['lost'];
    const before = readEntry(tx, keys, ask.field);
    putEntry(tx, keys, ask.field, ask.value, ask.ms);
    return before === undefined ? ['ok'] : ['ok', before];
  },
};

export interface ComparedKeys {
  map: string;
  expiry: string;
  watchers: string;
  guard: string;
  turn: string;
}

export interface ComparedWrite {
  field: string;
  /** 1: `expected` is the value to be replaced; 0: there must be none. */
  present: number;
  expected: string;
  value: string;
  ms: number;
  owner: string;
  /** As in value.ts. */
  turn: string;
}

/** ['ok']; or, with nothing written, ['lost'], ['busy']: it is another one's turn, ['other', the value now, if any]. */
export const compareAndSet: Operation<ComparedKeys, ComparedWrite, readonly string[]> = {
  name: 'map.compareAndSet',
  keys: ['map', 'expiry', 'watchers', 'guard', 'turn'],
  args: {
    field: 'text',
    present: 'integer',
    expected: 'text',
    value: 'text',
    ms: 'integer?',
    owner: 'text?',
    turn: 'text?',
  },
  step(tx, keys, ask) {
    if (!guarded(tx, keys.guard, ask.owner)) return ['lost'];
    if (isTurnOfOther(tx, keys.turn, ask.turn)) return ['busy'];
    const now = readEntry(tx, keys, ask.field);
    if (now === undefined && ask.present === 1) return ['other'];
    if (now !== undefined && (ask.present === 0 || now !== ask.expected)) return ['other', now];
    putEntry(tx, keys, ask.field, ask.value, ask.ms);
    return ['ok'];
  },
};

/** 1: deleted; 0: there was none; -1: the guard is over, nothing was written. */
export const remove: Operation<WriteKeys, { field: string; owner: string }, number> = {
  name: 'map.remove',
  keys: ['map', 'expiry', 'watchers', 'guard'],
  args: { field: 'text', owner: 'text?' },
  step(tx, keys, ask) {
    if (!guarded(tx, keys.guard, ask.owner)) return -1;
    return removeEntry(tx, keys, ask.field);
  },
};

/** Deletes an entry that has this value: ['ok'], ['lost'], or ['other', the value now, if any]. */
export const removeIf: Operation<WriteKeys, { field: string; expected: string; owner: string }, readonly string[]> = {
  name: 'map.removeIf',
  keys: ['map', 'expiry', 'watchers', 'guard'],
  args: { field: 'text', expected: 'text', owner: 'text?' },
  step(tx, keys, ask) {
    if (!guarded(tx, keys.guard, ask.owner)) return ['lost'];
    const now = readEntry(tx, keys, ask.field);
    if (now === undefined) return ['other'];
    if (now !== ask.expected) return ['other', now];
    removeEntry(tx, keys, ask.field);
    return ['ok'];
  },
};

/** Gives an entry so many ms from now; 0: no end. 1: done; 0: there is none; -1: the guard is over. */
export const expire: Operation<WriteKeys, { field: string; ms: number; owner: string }, number> = {
  name: 'map.expire',
  keys: ['map', 'expiry', 'watchers', 'guard'],
  args: { field: 'text', ms: 'integer?', owner: 'text?' },
  step(tx, keys, ask) {
    if (!guarded(tx, keys.guard, ask.owner)) return -1;
    const value = readEntry(tx, keys, ask.field);
    if (value === undefined) return 0;
    putEntry(tx, keys, ask.field, value, ask.ms);
    return 1;
  },
};

/** Empties a map of at most `sweptMax` entries: 1; 0: it has more, and is as it was; -1: the guard is over. */
export const clear: Operation<WriteKeys, { owner: string }, number> = {
  name: 'map.clear',
  keys: ['map', 'expiry', 'watchers', 'guard'],
  args: { owner: 'text?' },
  step(tx, keys, ask) {
    if (!guarded(tx, keys.guard, ask.owner)) return -1;
    const count = tx.hlen(keys.map);
    if (count > sweptMax || tx.zcard(keys.expiry) > sweptMax) return 0;
    tx.del(keys.expiry);
    if (tx.del(keys.map) === 1) changed(tx, keys.watchers, '');
    return 1;
  },
};

/** Deletes fields: the number of entries, or -1: the guard is over. keys: as `remove`; args: owner, then the fields. */
export const removeMany: BatchOperation<number> = {
  name: 'map.removeMany',
  batch: true,
  step(tx, keys, args) {
    if (!guarded(tx, keys[3]!, args[0]!)) return -1;
    const at: WatchedMapKeys = { map: keys[0]!, expiry: keys[1]!, watchers: keys[2]! };
    let removed = 0;
    for (let i = 1; i < args.length; i++) removed += removeEntry(tx, at, args[i]!);
    return removed;
  },
};

/** Removes entries that are over. How long until the next one is, in ms; 0: at once; -1: none of the others has an end. */
export const sweep: Operation<WatchedMapKeys, Record<never, never>, number> = {
  name: 'map.sweep',
  keys: ['map', 'expiry', 'watchers'],
  args: {},
  step(tx, keys) {
    sweepEntries(tx, keys, sweptMax);
    const next = tx.zrange(keys.expiry, 0, 0)[0];
    if (next === undefined) return -1;
    const leftUs = (tx.zscore(keys.expiry, next) ?? 0) - tx.nowUs();
    return leftUs <= 0 ? 0 : Math.floor(leftUs / 1_000) + 1;
  },
};
