/**
 * A lock over several independent stores, of which each has one vote. Here is what happens in one of them.
 *
 *   owner  string  who has this store's vote, PX the lease; absent = free
 *
 * An owner is `session:ask:ttlMs:0:sinceUs`, made by the asker before its first send, the same in all stores, and
 * unique for ever: 0 stands where other locks have their fence, as stores that know nothing of each other can't give one.
 *
 * - Asking twice with one owner is the same as asking once, at the later time.
 * - The key is that of an ordinary lock, which excludes this one and is excluded by it. `lock.renew` and `lock.release`
 *   go on from here: they compare the whole owner.
 */
import type { Operation } from './tx.ts';

export interface VoteKeys {
  owner: string;
}

/** `['yes']`, or who has the vote instead, and what is left of that lease in ms; -1: for ever. */
export type Vote = readonly ['yes'] | readonly ['no', owner: string, leftMs: number];

export const vote: Operation<VoteKeys, { owner: string; ttlMs: number }, Vote> = {
  name: 'quorum.vote',
  keys: ['owner'],
  args: { owner: 'text', ttlMs: 'integer' },
  step(tx, lock, ask) {
    const owner = tx.get(lock.owner);
    if (owner === undefined || owner === ask.owner) {
      tx.setPx(lock.owner, ask.owner, ask.ttlMs);
      return ['yes'];
    }
    return ['no', owner, tx.pttl(lock.owner)];
  },
};
