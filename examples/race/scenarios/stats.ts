import { setTimeout as sleep } from 'node:timers/promises';
import type { Lockstep, Stats } from '../../../src/index.ts';
import type { Scenario } from '../scenario.ts';

const windowMs = 100;

/** Everybody counts requests in windows of 100 ms: of each window there is one total in the end. */
export const stats: Scenario = {
  name: 'stats',

  /** The classic scheme: who comes when the window is over makes `current` the `last` one, and begins the next. */
  unsafe: {
    how: 'roll over',
    async prepare(shared) {
      await Promise.all([shared.counter('current').set(0), shared.list('last').clear()]);
      await shared.value('start').set(Date.now());
    },
    task: (shared) => async () => {
      const start = (await shared.value<number>('start').get()) ?? 0;
      if (Date.now() >= start + windowMs) {
        const total = await shared.counter('current').get();
        await shared.list<number>('last').push(total); // as others do that saw that it is over
        await shared.counter('current').set(0); // what was counted since it was read is gone
        await shared.value('start').set(Date.now());
      }
      await shared.counter('current').add(); // that is atomic, and does not help
      return 1;
    },
    async audit(shared, updates) {
      let counted = await shared.counter('current').get();
      for await (const total of shared.list<number>('last')) counted += total;
      return { lostUpdates: updates - counted }; // below 0 where more was counted twice than lost
    },
  },

  safe: {
    how: 'stats.record',
    async prepare(shared) {
      // Those of an earlier race stay in their windows.
      while ((await requests(shared).current()).count > 0) await sleep(windowMs);
      await shared.value('since').set((await requests(shared).current()).start);
    },
    task: (shared) => async () => {
      await requests(shared).record(1);
      return 1;
    },
    async audit(shared, updates) {
      await sleep(windowMs); // so that all windows are over
      const since = (await shared.value<number>('since').get()) ?? 0;
      const windows = (await requests(shared).history()).filter(({ start }) => start >= since);
      return { lostUpdates: updates - windows.reduce((sum, { count }) => sum + count, 0) };
    },
  },
};

function requests(shared: Lockstep): Stats {
  return shared.stats('requests', { every: windowMs, keep: 1_000 });
}
