/**
 * Sessions: who takes part in a space.
 *
 *   sessions  hash  session → card (JSON: host, pid, thread, label, since), from open to close
 *
 * and what a session waits for while it holds something, so that cycles can be found:
 *
 *   waits     hash  of one held lock: wait → record (JSON); PX, renewed while the wait lasts
 */
import type { BatchOperation, Operation } from './tx.ts';

export interface SessionKeys {
  sessions: string;
}

export const join: Operation<SessionKeys, { session: string; card: string }, number> = {
  name: 'session.join',
  keys: ['sessions'],
  args: { session: 'text', card: 'text' },
  step(tx, keys, ask) {
    return tx.hset(keys.sessions, ask.session, ask.card);
  },
};

export const leave: Operation<SessionKeys, { session: string }, number> = {
  name: 'session.leave',
  keys: ['sessions'],
  args: { session: 'text' },
  step(tx, keys, ask) {
    return tx.hdel(keys.sessions, ask.session);
  },
};

/** The cards of sessions, '' for one without. keys: sessions; args: the sessions. */
export const cards: BatchOperation<readonly string[]> = {
  name: 'session.cards',
  batch: true,
  readOnly: true,
  step(tx, keys, args) {
    const found: string[] = [];
    for (const session of args) found.push(tx.hget(keys[0]!, session) ?? '');
    return found;
  },
};

export interface WaitKeys {
  waits: string;
}

export const publishWait: Operation<WaitKeys, { wait: string; record: string; ms: number }, number> = {
  name: 'session.publishWait',
  keys: ['waits'],
  args: { wait: 'text', record: 'text', ms: 'integer' },
  step(tx, keys, ask) {
    tx.hset(keys.waits, ask.wait, ask.record);
    return tx.pexpire(keys.waits, ask.ms);
  },
};

export const withdrawWait: Operation<WaitKeys, { wait: string }, number> = {
  name: 'session.withdrawWait',
  keys: ['waits'],
  args: { wait: 'text' },
  step(tx, keys, ask) {
    return tx.hdel(keys.waits, ask.wait);
  },
};

export interface HolderKeys {
  owner: string;
  waits: string;
}

/** The owner of a lock ('' if it is free) and the records of what its holder waits for. */
export const holderWaits: Operation<HolderKeys, Record<never, never>, readonly string[]> = {
  name: 'session.holderWaits',
  keys: ['owner', 'waits'],
  args: {},
  readOnly: true,
  step(tx, keys) {
    const found: string[] = [tx.get(keys.owner) ?? ''];
    for (const record of tx.hvals(keys.waits)) found.push(record);
    return found;
  },
};
