import { limits } from '../../base/limits.ts';
import type { Database } from './database.ts';
import type { SqliteTx, SweepPage } from './tx.ts';

/**
 * Removes what has expired, so that what nobody asks for again does not stay for ever, and counts the members of sorted
 * sets whose ranks were asked for.
 */
export interface Sweep {
  /** Says that the store is used: for some time the sweep goes on. */
  used(): void;
  stop(): void;
}

/**
 * Walks all keys, a page at a time, as long as the store is used: slowly where little has expired, page after page
 * where much has, or is to be counted. All processes of a directory do so, each at its own place. Space that became free goes back to the disk.
 */
export function sweepOf(database: Database): Sweep {
  let cursor = '';
  let used = false;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  function arm(ms: number): void {
    timer = setTimeout(() => {
      slice().then(next, next);
    }, ms).unref();
  }

  function next(found: unknown): void {
    timer = undefined;
    if (stopped) return;
    if (found === 'much') arm(limits.sweepPauseMsMin);
    else if (used) arm(limits.sweepPauseMsMax);
    used = false;
  }

  /** One page, and the removal of what it shows. */
  async function slice(): Promise<'much' | 'little'> {
    database.check();
    const page = await ask((tx) => tx.sweepPage(cursor, limits.sweepKeys), true);
    const left = page.expired.length === 0 || (await ask((tx) => remove(tx, page), false));
    if (left) cursor = page.cursor;
    if (page.sparse) await ask((tx) => tx.shrink(limits.sweepPages), false);
    if (page.uncounted) await ask((tx) => tx.countMembers(limits.sweepCounts), false);
    return page.uncounted || page.expired.length * 4 > page.seen ? 'much' : 'little';
  }

  function ask<R>(step: (tx: SqliteTx) => R, readOnly: boolean): Promise<R> {
    return database.run({ step, readOnly, listens: () => false, wake: () => {} });
  }

  return {
    used() {
      used = true;
      if (timer !== undefined || stopped) return;
      database.check(); // nobody has looked for a while
      arm(limits.sweepPauseMsMax);
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

/** Whether nothing of the page is left: a large collection takes several slices. */
function remove(tx: SqliteTx, page: SweepPage): boolean {
  let members: number = limits.sweepMembers;
  for (const key of page.expired) {
    members -= tx.sweepKey(key, members);
    if (members <= 0) return false;
  }
  return true;
}
