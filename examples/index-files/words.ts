import type { Lockstep, SharedMap, SharedSortedSet, Transaction } from '../../src/index.ts';
import type { Count } from './work.ts';

/** A word that is there so often may be among the top ones: sorting all of them would only cost time. */
export const oftenFrom = 100;

/** Adds counts, in the transaction in which the work is done that they came of. */
export async function addCounts(tx: Transaction, counts: readonly Count[]): Promise<void> {
  const words = tx.map<number>('words');
  const often = tx.sortedSet<string>('often');
  // Not one after the other: what is read at once is read in one step.
  await Promise.all(
    counts.map(async ([word, times]) => {
      const total = await words.update(word, (before = 0) => before + times);
      if (total >= oftenFrom) await often.set(word, total);
    }),
  );
}

/**
 * Runs a transaction that adds counts. All of them want the words that are everywhere, so they would run into each other,
 * and begin again; taking turns is quicker. The lock does only that: where it is lost the
 * result is the same, so nobody asks.
 */
export async function inTurn(shared: Lockstep, body: (tx: Transaction) => Promise<void>): Promise<void> {
  const turn = await shared.lock('turn', { ttl: '1s' }).acquire();
  try {
    await shared.transaction(body);
  } finally {
    await turn.release();
  }
}

export function wordsOf(shared: Lockstep): SharedMap<number> {
  return shared.map<number>('words');
}

export function oftenOf(shared: Lockstep): SharedSortedSet<string> {
  return shared.sortedSet<string>('often');
}
