/**
 * A lock over several independent stores, of which each has one vote. Here is what happens in one of them.
 *
 *   owner   string  who has this store's vote, PX the lease; absent = free
 *   wanted  string  who was refused last, PX a little longer than it pauses before it asks again
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
  wanted: string;
}

/** `['yes']` with who wants it too, '' for nobody; or who has the vote instead, and what is left of that lease in ms; -1: for ever. */
export type Vote = readonly ['yes', wanted: string] | readonly ['no', owner: string, leftMs: number];

export interface VoteAsk {
  owner: string;
  /** Text. */
  ttlMs: string;
  /** So long somebody who is refused is known to want it; 0: it does not ask again. */
  wantedMs: number;
}

export const vote: Operation<VoteKeys, VoteAsk, Vote> = {
  name: 'quorum.vote',
  keys: ['owner', 'wanted'],
  args: { owner: 'text', ttlMs: 'text', wantedMs: 'integer' },
  step(tx, lock, ask) {
    const owner = tx.get(lock.owner);
    if (owner === undefined || owner === ask.owner) {
      tx.setPx(lock.owner, ask.owner, ask.ttlMs);
      return ['yes', tx.get(lock.wanted) ?? ''];
    }
    if (ask.wantedMs > 0) tx.setPx(lock.wanted, ask.owner, tx.text(ask.wantedMs));
    return ['no', owner, tx.pttl(lock.owner)];
  },
};
