/**
 * Who watches a value, a map, …, and what changed in it meanwhile. Not there where nobody watches.
 *
 *   watchers  sorted set, PX   `session:ID`  0        sessions to be woken at the next change
 *                              `change:WHAT` version  what changed last in that version: a map's key, or '' for the whole
 *                              `since`       version  changes up to this one are not all here
 *
 * - A session is woken once, and then no more until it looked: however often something is written, at most one message
 *   is on its way to a session that is slow, stopped or dead, and a dead one is forgotten by being woken.
 * - Versions grow with each change: max(last + 1, store time in µs). Who looks says which one it saw last, and gets
 *   what changed since, also where its message was lost.
 * - The sessions that watch keep it alive, by looking now and then. It is bounded: of many changes the oldest are
 *   forgotten, and whoever has not seen them is told to read everything anew.
 */
import type { Operation, Tx } from './tx.ts';

/** Changes that are remembered, and that one look gives at most. */
const changesMax = 1_000;
/** Sessions that one change wakes: if there are more, the others hear of the next one, or look by themselves. */
const wokenMax = 1_000;

/**
 * To be called after each write that changed something: `what`, such as the key of an entry; '' is the whole. One cheap
 * verb where nobody watches.
 */
export function changed(tx: Tx, watchers: string, what: string): void {
  const known = tx.zcard(watchers);
  if (known === 0) return;
  tx.zadd(watchers, nextVersion(tx, watchers), 'change:' + what);
  if (known >= changesMax) forgetOldest(tx, watchers);
  for (const member of tx.zrangeByScore(watchers, 0, 0, wokenMax)) {
    tx.zrem(watchers, member);
    tx.wake(tx.part(member, 1), 'changed - 0 ' + watchers);
  }
}

function nextVersion(tx: Tx, watchers: string): number {
  return Math.max(version(tx, watchers) + 1, tx.nowUs());
}

/** The last one. */
function version(tx: Tx, watchers: string): number {
  const last = tx.zrange(watchers, -1, -1)[0];
  return last === undefined ? 0 : (tx.zscore(watchers, last) ?? 0);
}

/** Of what is left, every change since the version that is forgotten is still there. */
function forgetOldest(tx: Tx, watchers: string): void {
  const oldest = tx.zrangeByScore(watchers, 1, Number.MAX_SAFE_INTEGER, 2);
  for (const member of oldest) {
    if (member !== 'since') {
      tx.zadd(watchers, tx.zscore(watchers, member) ?? 1, 'since');
      tx.zrem(watchers, member);
      return;
    }
  }
}

export interface WatchKeys {
  watchers: string;
}

export interface Look {
  session: string;
  /** The version that it saw last; 0: none. */
  seen: number;
  /** For so long it is not forgotten. */
  ms: number;
}

/**
 * Has the session woken at the next change. The version now, as text; 1 if all changes since `seen` follow, 0 if
 * everything is to be read anew; what changed.
 */
export const look: Operation<WatchKeys, Look, readonly (string | number)[]> = {
  name: 'watch.look',
  keys: ['watchers'],
  args: { session: 'text', seen: 'integer', ms: 'integer' },
  step(tx, keys, ask) {
    if (tx.zcard(keys.watchers) === 0) tx.zadd(keys.watchers, tx.nowUs(), 'since');
    tx.zadd(keys.watchers, 0, 'session:' + ask.session);
    tx.pexpire(keys.watchers, ask.ms);
    const now = tx.text(version(tx, keys.watchers));
    if (ask.seen < (tx.zscore(keys.watchers, 'since') ?? 0)) return [now, 0];
    const found: (string | number)[] = [now, 1];
    for (const member of tx.zrangeByScore(keys.watchers, ask.seen + 1, Number.MAX_SAFE_INTEGER, changesMax)) {
      found.push(tx.rest(member, 1));
    }
    return found;
  },
};

/** The session watches no more. 1 if it did. */
export const forget: Operation<WatchKeys, { session: string }, number> = {
  name: 'watch.forget',
  keys: ['watchers'],
  args: { session: 'text' },
  step(tx, keys, ask) {
    return tx.zrem(keys.watchers, 'session:' + ask.session);
  },
};
