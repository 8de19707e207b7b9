/**
 * A list: encoded values, and those who wait to take one.
 *
 *   list      list             the elements
 *   waiting   sorted set, PX   tokens of takers by arrival (store µs); a token is `session:ask:0:front` or `…:back`
 *   taken     hash             token → element that was handed to it and that it did not confirm yet
 *   grants    sorted set       the same tokens, by when they were handed it or last found alive (store µs)
 *   watchers  sorted set, PX   who watches it: watch.ts
 *   returned  sorted set, PX   tokens whose element went back to the list, by when (store µs)
 *
 * - An element is in the list, or under one token in `taken`, or was confirmed by that token: never two of them.
 * - Takers are served in the order in which they came, each from its end. Elements that are pushed go to them in the
 *   same step; what another program pushed, in the next step of anybody.
 * - An element that was handed to a session that is dead goes back to the end that it came from.
 * - Asking, confirming and leaving twice with one token is the same as once.
 * - A guarded write changes the list only while `owner` is still what the guard says, in the same step.
 */
import { guarded } from './guard.ts';
import { rangeFrom, rangeTo } from './range.ts';
import type { BatchOperation, Operation, Tx } from './tx.ts';
import { changed } from './watch.ts';

export interface ListKeys {
  list: string;
}

export interface TakerKeys extends ListKeys {
  watchers: string;
  waiting: string;
  taken: string;
  grants: string;
  returned: string;
}

export interface GuardedListKeys extends TakerKeys {
  /** Any key of the space where there is no guard. */
  guard: string;
}

/** Takers that one step serves, and grants that it looks after: the next step goes on from there. */
const servedMax = 100;
/** A taker that did not confirm for so long is asked whether it lives: µs. */
const graceUs = 1_000_000;
/** Takers that nobody asked about for so long are gone, and tokens whose element went back forgotten: ms. */
const keptMs = 300_000;

/** Adds elements one after the other at the `front` or `back`, and serves who waits: the length before that. */
export function pushElements(tx: Tx, keys: TakerKeys, side: string, elements: readonly string[]): number {
  let length = 0;
  for (const element of elements) length = pushAt(tx, keys, side, element);
  changed(tx, keys.watchers, '');
  serve(tx, keys, '');
  return length;
}

/** Takes the element at the `front` or `back` that is there now out, whatever dead takers may yet bring back. */
export function popElement(tx: Tx, keys: TakerKeys, side: string): void {
  if (popAt(tx, keys, side) !== undefined) changed(tx, keys.watchers, '');
}

/** The elements of a range, as of `slice`: ['ok', …elements], or ['over', n] if they are more than `max`. */
export function sliceOf(tx: Tx, keys: ListKeys, start: number, stop: number, max: number): string[] {
  const elements = tx.llen(keys.list);
  const from = rangeFrom(elements, start);
  const to = rangeTo(elements, stop);
  if (to < from) return ['ok'];
  if (to - from + 1 > max) return ['over', tx.text(to - from + 1)];
  const found = ['ok'];
  for (const element of tx.lrange(keys.list, from, to)) found.push(element);
  return found;
}

/** Takes up to `many` elements out at the `front` or `back`. */
function popElements(tx: Tx, keys: TakerKeys, side: string, many: number): string[] {
  recover(tx, keys);
  const popped: string[] = [];
  for (let i = 0; i < many; i++) {
    const element = popAt(tx, keys, side);
    if (element === undefined) break;
    popped.push(element);
  }
  if (popped.length > 0) changed(tx, keys.watchers, '');
  return popped;
}

/** Replaces the element of an index, negative from the end: 1 if there is one. */
export function setElement(tx: Tx, keys: TakerKeys, index: number, element: string): number {
  const length = tx.llen(keys.list);
  if (index >= length || index < 0 - length) return 0;
  tx.lset(keys.list, index, element);
  changed(tx, keys.watchers, '');
  return 1;
}

/** Keeps a range, as of `slice`, and removes the rest: how many. */
function trimList(tx: Tx, keys: TakerKeys, start: number, stop: number): number {
  const length = tx.llen(keys.list);
  const from = rangeFrom(length, start);
  const kept = Math.max(0, rangeTo(length, stop) - from + 1);
  if (kept === length) return 0;
  if (kept === 0) tx.del(keys.list);
  else tx.ltrim(keys.list, from, from + kept - 1);
  changed(tx, keys.watchers, '');
  return length - kept;
}

/**
 * The length right after, with what went to those who wait; -1: the guard's lease is over.
 * keys: list, watchers, waiting, taken, grants, returned, guard; args: owner, `front` or `back`, elements.
 */
export const push: BatchOperation<number> = {
  name: 'list.push',
  batch: true,
  step(tx, keys, args) {
    if (!guarded(tx, keys[6]!, args[0]!)) return -1;
    const elements: string[] = [];
    for (let i = 2; i < args.length; i++) elements.push(args[i]!);
    const list: TakerKeys = {
      list: keys[0]!,
      watchers: keys[1]!,
      waiting: keys[2]!,
      taken: keys[3]!,
      grants: keys[4]!,
      returned: keys[5]!,
    };
    recover(tx, list);
    return pushElements(tx, list, args[1]!, elements);
  },
};

/** ['ok', …elements], or ['lost'] if the guard's lease is over. */
export const pop: Operation<GuardedListKeys, { side: string; count: number; owner: string }, readonly string[]> = {
  name: 'list.pop',
  keys: ['list', 'watchers', 'waiting', 'taken', 'grants', 'returned', 'guard'],
  args: { side: 'text', count: 'integer', owner: 'text?' },
  step(tx, keys, ask) {
    if (!guarded(tx, keys.guard, ask.owner)) return ['lost'];
    const found = ['ok'];
    for (const element of popElements(tx, keys, ask.side, ask.count)) found.push(element);
    return found;
  },
};

/** 1: replaced; 0: there is no such index; -1: the guard's lease is over. */
export const set: Operation<GuardedListKeys, { index: number; element: string; owner: string }, number> = {
  name: 'list.set',
  keys: ['list', 'watchers', 'waiting', 'taken', 'grants', 'returned', 'guard'],
  args: { index: 'integer', element: 'text', owner: 'text?' },
  step(tx, keys, ask) {
    return guarded(tx, keys.guard, ask.owner) ? setElement(tx, keys, ask.index, ask.element) : -1;
  },
};

/** How many went; -1: the guard's lease is over. */
export const trim: Operation<GuardedListKeys, { start: number; stop: number; owner: string }, number> = {
  name: 'list.trim',
  keys: ['list', 'watchers', 'waiting', 'taken', 'grants', 'returned', 'guard'],
  args: { start: 'integer', stop: 'integer', owner: 'text?' },
  step(tx, keys, ask) {
    return guarded(tx, keys.guard, ask.owner) ? trimList(tx, keys, ask.start, ask.stop) : -1;
  },
};

export const length: Operation<ListKeys, Record<never, never>, number> = {
  name: 'list.length',
  keys: ['list'],
  args: {},
  readOnly: true,
  step(tx, keys) {
    return tx.llen(keys.list);
  },
};

/** See `sliceOf`. */
export const slice: Operation<ListKeys, { start: number; stop: number; max: number }, readonly string[]> = {
  name: 'list.slice',
  keys: ['list'],
  args: { start: 'integer', stop: 'integer', max: 'integer' },
  readOnly: true,
  step(tx, keys, ask) {
    return sliceOf(tx, keys, ask.start, ask.stop, ask.max);
  },
};

// Taking

/** `wait`: 1 joins the line if there is nothing. */
export interface Take {
  token: string;
  wait: number;
}

/** ['taken', element], to be confirmed; ['waiting', 1 if it is the first in line, else 0], or ['empty']. */
export const take: Operation<TakerKeys, Take, readonly (string | number)[]> = {
  name: 'list.take',
  keys: ['list', 'watchers', 'waiting', 'taken', 'grants', 'returned'],
  args: { token: 'text', wait: 'integer' },
  step(tx, keys, ask) {
    recover(tx, keys);
    if (tx.hget(keys.taken, ask.token) === undefined) {
      tx.zrem(keys.returned, ask.token); // it was passed by, as if it were dead
      if (ask.wait === 1 && (tx.llen(keys.list) === 0 || tx.zcard(keys.waiting) > 0)) enqueue(tx, keys, ask.token);
      serve(tx, keys, ask.token);
      const isServed = tx.hget(keys.taken, ask.token) !== undefined;
      if (!isServed && tx.zscore(keys.waiting, ask.token) === undefined) grant(tx, keys, ask.token);
    }
    const element = tx.hget(keys.taken, ask.token);
    if (element !== undefined) return ['taken', element];
    if (ask.wait === 0) return ['empty'];
    tx.pexpire(keys.waiting, keptMs);
    return ['waiting', tx.zrange(keys.waiting, 0, 0)[0] === ask.token ? 1 : 0];
  },
};

/** The taker has its element: 1; or 0 if it went back meanwhile, and may be another's. */
export const confirm: Operation<TakerKeys, { token: string }, number> = {
  name: 'list.confirm',
  keys: ['list', 'watchers', 'waiting', 'taken', 'grants', 'returned'],
  args: { token: 'text' },
  step(tx, keys, ask) {
    if (tx.hdel(keys.taken, ask.token) === 0) return tx.zscore(keys.returned, ask.token) === undefined ? 1 : 0;
    tx.zrem(keys.grants, ask.token);
    serve(tx, keys, '');
    return 1;
  },
};

/** `confirming`: 1 if the token was handed `element`, and may have confirmed it. */
export interface Leave {
  token: string;
  confirming: number;
  element: string;
}

/** Takes a token out of the line, or brings back what it was handed. 1 if it did either. */
export const leave: Operation<TakerKeys, Leave, number> = {
  name: 'list.leave',
  keys: ['list', 'watchers', 'waiting', 'taken', 'grants', 'returned'],
  args: { token: 'text', confirming: 'integer', element: 'text' },
  step(tx, keys, ask) {
    const element = tx.hget(keys.taken, ask.token);
    if (element !== undefined) giveBackElement(tx, keys, ask.token, element);
    else if (tx.zrem(keys.waiting, ask.token) === 1) return 1;
    else if (ask.confirming === 1 && tx.zscore(keys.returned, ask.token) === undefined) {
      giveBackElement(tx, keys, ask.token, ask.element);
    } else return 0;
    serve(tx, keys, '');
    return 1;
  },
};

/** Hands elements to those who wait, in order, and wakes them, but for `asker`, who is awake. */
function serve(tx: Tx, keys: TakerKeys, asker: string): void {
  for (let i = 0; i < servedMax; i++) {
    const token = tx.zrange(keys.waiting, 0, 0)[0];
    if (token === undefined || tx.llen(keys.list) === 0) return;
    tx.zrem(keys.waiting, token);
    grant(tx, keys, token);
    const element = tx.hget(keys.taken, token) ?? '';
    if (token !== asker && !tell(tx, keys, token, element)) giveBackElement(tx, keys, token, element); // it is dead
  }
}

/** Looks after those who were handed an element and did not say that they have it. */
function recover(tx: Tx, keys: TakerKeys): void {
  for (let i = 0; i < servedMax; i++) {
    const token = tx.zrange(keys.grants, 0, 0)[0];
    if (token === undefined) return;
    if (tx.nowUs() - (tx.zscore(keys.grants, token) ?? 0) < graceUs) return;
    const element = tx.hget(keys.taken, token);
    if (element === undefined) tx.zrem(keys.grants, token);
    else if (tell(tx, keys, token, element)) tx.zadd(keys.grants, tx.nowUs(), token);
    else giveBackElement(tx, keys, token, element);
  }
}

/** First come, first served, whatever the clock does. */
function enqueue(tx: Tx, keys: TakerKeys, token: string): void {
  let place = tx.nowUs();
  const last = tx.zrange(keys.waiting, -1, -1)[0];
  if (last !== undefined) place = Math.max(place, (tx.zscore(keys.waiting, last) ?? 0) + 1);
  tx.zaddNew(keys.waiting, place, token);
}

/** Moves an element of the list to the token. */
function grant(tx: Tx, keys: TakerKeys, token: string): void {
  const element = popAt(tx, keys, tx.part(token, 3));
  if (element === undefined) return;
  tx.hset(keys.taken, token, element);
  tx.zadd(keys.grants, tx.nowUs(), token);
  changed(tx, keys.watchers, '');
}

/** Puts an element back to the end that the token took it from, and remembers that. */
function giveBackElement(tx: Tx, keys: TakerKeys, token: string, element: string): void {
  pushAt(tx, keys, tx.part(token, 3), element);
  tx.hdel(keys.taken, token);
  tx.zrem(keys.grants, token);
  const now = tx.nowUs();
  tx.zadd(keys.returned, now, token);
  tx.pexpire(keys.returned, keptMs);
  for (const old of tx.zrangeByScore(keys.returned, 0, now - keptMs * 1_000, 10)) tx.zrem(keys.returned, old);
  changed(tx, keys.watchers, '');
}

/** Wakes a taker: `granted token 0 key`, and the element behind that. False if it is dead. */
function tell(tx: Tx, keys: TakerKeys, token: string, element: string): boolean {
  return tx.wake(tx.part(token, 0), 'granted ' + token + ' 0 ' + keys.list + '\n' + element);
}

function pushAt(tx: Tx, keys: ListKeys, side: string, element: string): number {
  if (side === 'back') return tx.rpush(keys.list, element);
  return tx.lpush(keys.list, element);
}

function popAt(tx: Tx, keys: ListKeys, side: string): string | undefined {
  if (side === 'back') return tx.rpop(keys.list);
  return tx.lpop(keys.list);
}
