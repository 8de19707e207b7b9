/**
 * A value: one encoded text.
 *
 *   value     string        the value, PX if it has an end; absent = none
 *   watchers  sorted set    who watches it: watch.ts
 *   guard     string        see guard.ts
 *   turn      string        the owner key of the lock that updates take when they meet too often
 *
 * - Each write tells those who watch, in its own step.
 * - While somebody has the turn, only their compared writes are made; plain writes always are.
 */
import { guarded } from './guard.ts';
import type { Operation, Tx } from './tx.ts';
import { changed } from './watch.ts';

// Steps, for these operations and for commits

export interface ValueKeys {
  value: string;
  watchers: string;
}

export function readValue(tx: Tx, value: string): string | undefined {
  return tx.get(value);
}

/** `ms`: how long it lives; 0: without end; -1: as long as what it replaces. */
export function writeValue(tx: Tx, keys: ValueKeys, text: string, ms: number): void {
  const left = ms < 0 ? tx.pttl(keys.value) : ms;
  if (left > 0 || (ms < 0 && left === 0)) tx.setPx(keys.value, text, tx.text(Math.max(1, left)));
  else tx.set(keys.value, text);
  changed(tx, keys.watchers, '');
}

/** 1 if there was one. */
export function removeValue(tx: Tx, keys: ValueKeys): number {
  if (tx.del(keys.value) === 0) return 0;
  changed(tx, keys.watchers, '');
  return 1;
}

/** Whether a compared write must wait for its turn. `owner`: of the turn, as far as the caller has it; '': it does not queue. */
export function isTurnOfOther(tx: Tx, turn: string, owner: string): boolean {
  if (owner === '') return false;
  const now = tx.get(turn);
  return now !== undefined && now !== owner;
}

// Operations

export interface WriteKeys {
  value: string;
  watchers: string;
  /** Any key of the space where there is no guard. */
  guard: string;
}

/** `ms`: see `writeValue`. `owner`: that of the guard, '' for an unguarded write. */
export interface Write {
  text: string;
  ms: number;
  owner: string;
}

/** The text, or nothing. */
export const get: Operation<{ value: string }, Record<never, never>, readonly string[]> = {
  name: 'value.get',
  keys: ['value'],
  args: {},
  readOnly: true,
  step(tx, keys) {
    const text = readValue(tx, keys.value);
    return text === undefined ? [] : [text];
  },
};

/** The text and the ms that it has left (-1: without end), or nothing. */
export const getWithLife: Operation<{ value: string }, Record<never, never>, readonly (string | number)[]> = {
  name: 'value.getWithLife',
  keys: ['value'],
  args: {},
  readOnly: true,
  step(tx, keys) {
    const text = readValue(tx, keys.value);
    return text === undefined ? [] : [text, tx.pttl(keys.value)];
  },
};

/** ms left; -1: without end; -2: there is none. */
export const remaining: Operation<{ value: string }, Record<never, never>, number> = {
  name: 'value.remaining',
  keys: ['value'],
  args: {},
  readOnly: true,
  step(tx, keys) {
    return tx.pttl(keys.value);
  },
};

/** 1: set; -1: the guard is over, nothing was written. */
export const set: Operation<WriteKeys, Write, number> = {
  name: 'value.set',
  keys: ['value', 'watchers', 'guard'],
  args: { text: 'text', ms: 'integer?', owner: 'text?' },
  step(tx, keys, ask) {
    if (!guarded(tx, keys.guard, ask.owner)) return -1;
    tx.get(keys.value); // another kind of thing is not written over
    writeValue(tx, keys, ask.text, ask.ms);
    return 1;
  },
};

/** ['ok', the value that was replaced, if there was one], or ['lost']: the guard is over, nothing was written. */
export const swap: Operation<WriteKeys, Write, readonly string[]> = {
  name: 'value.swap',
  keys: ['value', 'watchers', 'guard'],
  args: { text: 'text', ms: 'integer?', owner: 'text?' },
  step(tx, keys, ask) {
    if (!guarded(tx, keys.guard, ask.owner)) return ['lost'];
    const before = tx.get(keys.value);
    writeValue(tx, keys, ask.text, ask.ms);
    return before === undefined ? ['ok'] : ['ok', before];
  },
};

export interface ComparedKeys {
  value: string;
  watchers: string;
  guard: string;
  turn: string;
}

export interface ComparedWrite {
  /** 1: `expected` is the text to be replaced; 0: there must be none. */
  present: number;
  expected: string;
  text: string;
  ms: number;
  owner: string;
  /** Of the turn: its owner, or any other text where the caller has no turn; '': it does not queue. */
  turn: string;
}

/** ['ok']; or, with nothing written, ['lost'], ['busy']: it is another one's turn, ['other', the text now, if any]. */
export const compareAndSet: Operation<ComparedKeys, ComparedWrite, readonly string[]> = {
  name: 'value.compareAndSet',
  keys: ['value', 'watchers', 'guard', 'turn'],
  args: { present: 'integer', expected: 'text', text: 'text', ms: 'integer?', owner: 'text?', turn: 'text?' },
  step(tx, keys, ask) {
    if (!guarded(tx, keys.guard, ask.owner)) return ['lost'];
    if (isTurnOfOther(tx, keys.turn, ask.turn)) return ['busy'];
    const now = tx.get(keys.value);
    if (now === undefined && ask.present === 1) return ['other'];
    if (now !== undefined && (ask.present === 0 || now !== ask.expected)) return ['other', now];
    writeValue(tx, keys, ask.text, ask.ms);
    return ['ok'];
  },
};

/** 1: deleted; 0: there was none; -1: the guard is over. */
export const remove: Operation<WriteKeys, { owner: string }, number> = {
  name: 'value.remove',
  keys: ['value', 'watchers', 'guard'],
  args: { owner: 'text?' },
  step(tx, keys, ask) {
    if (!guarded(tx, keys.guard, ask.owner)) return -1;
    tx.get(keys.value);
    return removeValue(tx, keys);
  },
};

/** Gives the value so many ms from now; 0: no end. 1: done; 0: there is none; -1: the guard is over. */
export const expire: Operation<WriteKeys, { ms: number; owner: string }, number> = {
  name: 'value.expire',
  keys: ['value', 'watchers', 'guard'],
  args: { ms: 'integer?', owner: 'text?' },
  step(tx, keys, ask) {
    if (!guarded(tx, keys.guard, ask.owner)) return -1;
    if (tx.get(keys.value) === undefined) return 0;
    if (ask.ms === 0) tx.persist(keys.value);
    else tx.pexpire(keys.value, ask.ms);
    changed(tx, keys.watchers, ''); // whoever watches must learn when it ends
    return 1;
  },
};
