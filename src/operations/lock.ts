/**
 * A lock: one owner at a time, waiters served in the order in which they came, a fencing token for each grant.
 *
 *   owner     string      who holds the lock, PX the lease; absent = free
 *   queue     sorted set  the tokens of those who wait, by arrival (store µs)
 *   fences    string      the last fencing token given out in the space; never expires
 *
 * A waiter's token is `session:ask:ttlMs`, made before its first send and unique for ever.
 * An owner is `token:fence:sinceUs`.
 *
 * - Asking twice with one token is the same as asking once.
 * - A free lock has no live waiters: whoever frees it hands it on in the same step; but where programs that do not
 *   stand in the queue use the lock too, now and then it is left open for them, and the first waiter is told.
 * - Fences only grow, also when the owner, the lock or the store's clock was lost: max(last + 1, now in µs).
 *   A grant takes `fences` of them, for hand-overs inside the owner's session.
 */
import type { BatchOperation, Operation, Tx } from './tx.ts';

export interface LockKeys {
  owner: string;
  queue: string;
  fences: string;
}

/** `waitedMs`: how long the first of those who still wait has done so; -1 if nobody waits. */
export type Granted = readonly ['granted', owner: string, leftMs: number, waitedMs: number];
/** `ahead`: the token or owner directly before the asker in the line, whose end it should watch for. */
export type Held = readonly ['held', owner: string, leftMs: number, ahead: string];

export interface Ask {
  token: string;
  /** As the token has it: text. */
  ttlMs: string;
  /** 1: join the queue if the lock is held. */
  wait: number;
  fences: number;
  queueMs: number;
  /** An owner, the asker's own, that is given back once the asker stands in the line; '': none. */
  gives: string;
}

/** The owner alone: the lock was free, the lease is whole, and nobody waits. */
export const acquire: Operation<LockKeys, Ask, string | Granted | Held> = {
  name: 'lock.acquire',
  keys: ['owner', 'queue', 'fences'],
  args: { token: 'text', ttlMs: 'text', gives: 'text?', wait: 'setting', fences: 'setting', queueMs: 'setting' },
  step(tx, lock, ask) {
    if (!tx.existsEither(lock.owner, lock.queue))
      return grant(tx, lock.owner, lock.fences, ask.fences, ask.token, ask.ttlMs);
    let owner = tx.get(lock.owner);
    let ahead: string | undefined;
    if (owner !== undefined && owner === ask.gives) {
      ahead = enqueue(tx, lock, ask, owner);
      owner = undefined;
    }
    if (owner === undefined) owner = handOn(tx, lock, ask.fences, ask.token); // the last lease ran out, or is given back
    if (owner === undefined) owner = grant(tx, lock.owner, lock.fences, ask.fences, ask.token, ask.ttlMs);
    if (isOwner(tx, owner, ask.token)) return granted(tx, lock, owner);
    if (ahead !== undefined) return ['held', owner, ttlOf(tx, owner), ahead];
    return ['held', owner, tx.pttl(lock.owner), ask.wait === 1 ? enqueue(tx, lock, ask, owner) : owner];
  },
};

export interface Release {
  owner: string;
  fences: number;
  /** So often the lock is left free for whoever comes, and the first waiter is told to ask for it; 0: never. */
  openEveryMs: number;
}

/** Frees the lock if `owner` still holds it, and hands it to the first waiter. 1 if it did hold it. */
export const release: Operation<LockKeys, Release, number> = {
  name: 'lock.release',
  keys: ['owner', 'queue', 'fences'],
  args: { owner: 'text', fences: 'setting', openEveryMs: 'setting' },
  step(tx, lock, ask) {
    if (tx.get(lock.owner) !== ask.owner) return 0;
    if (tx.zcard(lock.queue) === 0) return tx.del(lock.owner);
    if (ask.openEveryMs > 0 && isTimeToOpen(tx, ask.owner, ask.openEveryMs * 1000)) leaveOpen(tx, lock, ask.fences);
    else free(tx, lock, ask.fences);
    return 1;
  },
};

export interface Leave {
  token: string;
  fences: number;
}

/** Takes a token out of the line, or frees the lock if the token was granted meanwhile. 1 if it did either. */
export const leave: Operation<LockKeys, Leave, number> = {
  name: 'lock.leave',
  keys: ['owner', 'queue', 'fences'],
  args: { token: 'text', fences: 'setting' },
  step(tx, lock, ask) {
    const owner = tx.get(lock.owner);
    if (owner !== undefined && isOwner(tx, owner, ask.token)) {
      free(tx, lock, ask.fences);
      return 1;
    }
    const place = tx.zscore(lock.queue, ask.token);
    if (place === undefined) return 0;
    tx.zrem(lock.queue, ask.token);
    wakeBehind(tx, lock, place);
    return 1;
  },
};

/** Gives each lease that its owner still has its whole length again. keys: owners; args: owner, ttlMs of each. */
export const renew: BatchOperation<readonly number[]> = {
  name: 'lock.renew',
  batch: true,
  step(tx, keys, args) {
    const renewed: number[] = [];
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!;
      const ttlMs = tx.integer(args[i * 2 + 1]!);
      if (ttlMs !== undefined && tx.get(key) === args[i * 2]!) renewed.push(tx.pexpire(key, ttlMs));
      else renewed.push(0);
    }
    return renewed;
  },
};

// How it is done

function granted(tx: Tx, lock: LockKeys, owner: string): Granted {
  return ['granted', owner, tx.pttl(lock.owner), waitedMs(tx, lock)];
}

/** Makes `token` the owner of the free lock at `key`. */
function grant(tx: Tx, key: string, fencesKey: string, fences: number, token: string, ttlMs: string): string {
  const now = tx.nowUs();
  const since = tx.text(now);
  let fence = since;
  const text = tx.getset(fencesKey, tx.text(now + fences - 1)) ?? '';
  // Mostly so, and told from the texts alone: a server takes longer to make a number of a text.
  if (!tx.isSmaller(text, since)) {
    const last = tx.integer(text) ?? 0;
    if (last >= now) {
      fence = tx.text(last + 1); // the store's clock was set back, or grants come faster than it ticks
      tx.set(fencesKey, tx.text(last + fences));
    }
  }
  const owner = token + ':' + fence + ':' + since;
  tx.setPx(key, owner, ttlMs);
  return owner;
}

function ttlOf(tx: Tx, token: string): number {
  return tx.integer(tx.part(token, 2)) ?? 1;
}

function free(tx: Tx, lock: LockKeys, fences: number): void {
  if (handOn(tx, lock, fences, '') === undefined) tx.del(lock.owner);
}

/** At the first release in each span of the store's clock: no chain of owners is longer, and nothing is remembered. */
function isTimeToOpen(tx: Tx, owner: string, everyUs: number): boolean {
  const sinceUs = tx.integer(tx.part(owner, 4)) ?? 0;
  return Math.floor(tx.nowUs() / everyUs) !== Math.floor(sinceUs / everyUs);
}

function leaveOpen(tx: Tx, lock: LockKeys, fences: number): void {
  tx.del(lock.owner);
  const first = tx.zrange(lock.queue, 0, 0)[0];
  if (first !== undefined && !tell(tx, lock, 'open', first)) handOn(tx, lock, fences, ''); // it is dead: not the next one
}

/**
 * Gives the lock, which is free or its holder's to give, to the first live waiter and wakes it, unless it is `asker`, who
 * is awake. The new owner; where nobody waits, nothing was changed. Passes by at most 100 dead ones in a step: the next
 * one goes on from there.
 */
function handOn(tx: Tx, lock: LockKeys, fences: number, asker: string): string | undefined {
  for (let i = 0; i < 100; i++) {
    const line = tx.zrangeWithScores(lock.queue, 0, 1);
    const token = line[0];
    if (token === undefined) return undefined;
    tx.zrem(lock.queue, token);
    const owner = grant(tx, lock.owner, lock.fences, fences, token, tx.text(ttlOf(tx, token)));
    if (token === asker || say(tx, lock, 'granted', owner, msSince(tx, line[3]))) return owner;
    tx.del(lock.owner); // its session is dead
  }
  return undefined;
}

/** Joins the queue; asked again, keeps its place. Who is directly ahead. */
function enqueue(tx: Tx, lock: LockKeys, ask: Ask, owner: string): string {
  const last = tx.zrangeWithScores(lock.queue, -1, -1);
  let ahead = last[0];
  let place = tx.nowUs();
  if (ahead !== undefined) place = Math.max(place, tx.number(last[1]!) + 1); // first come, first served, whatever the clock does
  if (tx.zaddNew(lock.queue, place, ask.token) === 0) {
    ahead = tx.zbefore(lock.queue, tx.zscore(lock.queue, ask.token) ?? place);
  } else if (ahead === undefined) say(tx, lock, 'wanted', owner, -1);
  tx.pexpire(lock.queue, ask.queueMs);
  return ahead ?? owner;
}

/** Whoever stood behind a waiter that left watches the wrong one now. */
function wakeBehind(tx: Tx, lock: LockKeys, place: number): void {
  const behind = tx.zrangeByScore(lock.queue, place, Number.MAX_SAFE_INTEGER, 1)[0];
  if (behind !== undefined) tell(tx, lock, 'moved', behind);
}

/** How long the first waiter has waited; -1 if nobody waits. */
function waitedMs(tx: Tx, lock: LockKeys): number {
  return msSince(tx, tx.zrangeWithScores(lock.queue, 0, 0)[1]);
}

/** From a waiter's place; -1 if there is none. */
function msSince(tx: Tx, place: string | undefined): number {
  return place === undefined ? -1 : Math.max(0, Math.floor((tx.nowUs() - tx.number(place)) / 1000));
}

/** Wakes the session of a token or owner. */
function tell(tx: Tx, lock: LockKeys, verb: string, subject: string): boolean {
  return say(tx, lock, verb, subject, waitedMs(tx, lock));
}

/** `verb subject waitedMs key` */
function say(tx: Tx, lock: LockKeys, verb: string, subject: string, waited: number): boolean {
  return tx.wake(tx.part(subject, 0), verb + ' ' + subject + ' ' + tx.text(waited) + ' ' + lock.owner);
}

function isOwner(tx: Tx, owner: string, token: string): boolean {
  return tx.startsWith(owner, token + ':');
}

// For several locks at once, for inspection, and for emergencies

/** Frees the lock whoever holds it; the old holder is told. Its owner, or '' if it was free. */
export const forceRelease: Operation<LockKeys, { fences: number }, string> = {
  name: 'lock.forceRelease',
  keys: ['owner', 'queue', 'fences'],
  args: { fences: 'setting' },
  step(tx, lock, ask) {
    const owner = tx.get(lock.owner);
    if (owner === undefined) return '';
    free(tx, lock, ask.fences);
    tell(tx, lock, 'lost', owner);
    return owner;
  },
};

/** Asks the holder to give up. Its owner, or '' if the lock is free. */
export const requestRelease: Operation<LockKeys, { reason: string }, string> = {
  name: 'lock.requestRelease',
  keys: ['owner', 'queue', 'fences'],
  args: { reason: 'text' },
  step(tx, lock, ask) {
    const owner = tx.get(lock.owner);
    if (owner === undefined) return '';
    tx.wake(tx.part(owner, 0), 'revoke ' + owner + ' 0 ' + lock.owner + '\n' + ask.reason);
    return owner;
  },
};

/** The owner with what is left of its lease, then a page of waiters with their arrivals, in order. */
export const look: Operation<LockKeys, { from: number; to: number }, readonly (string | number)[]> = {
  name: 'lock.look',
  keys: ['owner', 'queue', 'fences'],
  args: { from: 'integer', to: 'integer' },
  readOnly: true,
  step(tx, lock, ask) {
    const owner = tx.get(lock.owner);
    const found: (string | number)[] = owner === undefined ? ['', 0] : [owner, tx.pttl(lock.owner)];
    for (const token of tx.zrange(lock.queue, ask.from, ask.to)) {
      found.push(token);
      found.push(tx.zscore(lock.queue, token) ?? 0);
    }
    return found;
  },
};

/** Takes several locks, all or none, without waiting: the owners, or ['held', the number of the first that is not free]. */
export const acquireAll: BatchOperation<readonly ['granted', ...string[]] | readonly ['held', number]> = {
  name: 'lock.acquireAll',
  batch: true,
  // keys: fences, then owner and queue of each lock; args: fences, then a token for each lock
  step(tx, keys, args) {
    const fences = tx.integer(args[0]!) ?? 1;
    for (let i = 1; i < args.length; i++) {
      const lock: LockKeys = lockAt(keys, i);
      let owner = tx.get(lock.owner);
      if (owner === undefined) owner = handOn(tx, lock, fences, '');
      if (owner !== undefined && !isOwner(tx, owner, args[i]!)) return ['held', i - 1];
    }
    const owners: ['granted', ...string[]] = ['granted'];
    for (let i = 1; i < args.length; i++) {
      const lock = lockAt(keys, i);
      owners.push(
        tx.get(lock.owner) ?? grant(tx, lock.owner, lock.fences, fences, args[i]!, tx.text(ttlOf(tx, args[i]!))),
      );
    }
    return owners;
  },
};

function lockAt(keys: readonly string[], i: number): LockKeys {
  return { fences: keys[0]!, owner: keys[i * 2 - 1]!, queue: keys[i * 2]! };
}
