import { setTimeout as sleep } from 'node:timers/promises';
import type { Lockstep, Transaction, TransactionList, TransactionMap } from '../../src/index.ts';
import type { Work, WorkPlace } from './work.ts';
import { inTurn } from './words.ts';

/**
 * Work from a shared list. What is taken out of a list is the taker's alone, and dies with it. So a transaction moves it
 * to a map of what each worker has, and whoever replaces a dead worker begins with that. (A queue does all of this by
 * itself, and tells who waits when there is work.)
 */
export const workFromList: WorkPlace = {
  async fill(shared, all) {
    await Promise.all([shared.list('work').clear(), shared.map('taken').clear()]);
    const work = shared.list<Work>('work');
    await Promise.all(all.map((one) => work.push(one)));
  },

  left: (shared) => shared.transaction(async (tx) => (await list(tx).length()) + (await taken(tx).size())),

  async work(shared, worker, signal, { count, add }) {
    while (!signal.aborted) {
      const work = await next(shared, worker);
      if (work === undefined) {
        await sleep(50); // others may have more, or be replaced
        continue;
      }
      const { now, later } = await count(work);
      await inTurn(shared, async (tx) => {
        if (!(await taken(tx).delete(worker))) return; // the one before did it, and died before it could say so
        await add(tx, now);
        for (const rest of later) await list(tx).push(rest);
      });
    }
  },
};

/** What this worker is to do: what it, or a dead one of its name, has taken; else the first of the list. */
function next(shared: Lockstep, worker: string): Promise<Work | undefined> {
  return shared.transaction(async (tx) => {
    const before = await taken(tx).get(worker);
    if (before !== undefined) return before;
    const first = await list(tx).shift();
    if (first !== undefined) await taken(tx).set(worker, first);
    return first;
  });
}

function list(tx: Transaction): TransactionList<Work> {
  return tx.list<Work>('work');
}

function taken(tx: Transaction): TransactionMap<Work> {
  return tx.map<Work>('taken');
}
