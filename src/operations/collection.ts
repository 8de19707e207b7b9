/**
 * The life of a whole set, sorted set or list.
 *
 *   whole     set, sorted set or list, PX where it shall end by itself
 *   watchers  sorted set    who watches it: watch.ts
 */
import { guarded } from './guard.ts';
import type { Operation } from './tx.ts';
import { changed } from './watch.ts';

export interface WholeKeys {
  whole: string;
  /** Any key of the space where there is no guard. */
  guard: string;
  watchers: string;
}

/** It ends in `ms`, or never where that is 0. 1 if it is there; -1: the guard's lease is over. */
export const expire: Operation<WholeKeys, { ms: number; owner: string }, number> = {
  name: 'collection.expire',
  keys: ['whole', 'guard', 'watchers'],
  args: { ms: 'integer?', owner: 'text?' },
  step(tx, keys, ask) {
    if (!guarded(tx, keys.guard, ask.owner)) return -1;
    if (!tx.exists(keys.whole)) return 0;
    if (ask.ms > 0) tx.pexpire(keys.whole, ask.ms);
    else tx.persist(keys.whole);
    changed(tx, keys.watchers, ''); // whoever watches must learn when it ends
    return 1;
  },
};

/** ms that are left; -1: it does not end; -2: it is not there. */
export const life: Operation<{ whole: string }, Record<never, never>, number> = {
  name: 'collection.life',
  keys: ['whole'],
  args: {},
  readOnly: true,
  step(tx, keys) {
    return tx.pttl(keys.whole);
  },
};
