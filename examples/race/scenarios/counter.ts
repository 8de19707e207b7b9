import type { Lockstep, SharedMap } from '../../../src/index.ts';
import type { Scenario } from '../scenario.ts';

/** Everybody counts. */
export const counter: Scenario = {
  name: 'counter',

  unsafe: {
    how: 'get, then set',
    prepare: (shared) => page(shared).set('hits', 0),
    task: (shared) => async () => {
      const hits = (await page(shared).get('hits')) ?? 0;
      await page(shared).set('hits', hits + 1); // somebody else has counted in between
      return 1;
    },
    audit: async (shared, updates) => ({ lostUpdates: updates - ((await page(shared).get('hits')) ?? 0) }),
  },

  safe: {
    how: 'counter.add',
    prepare: async (shared) => void (await shared.counter('hits').set(0)),
    task: (shared) => async () => {
      await shared.counter('hits').add();
      return 1;
    },
    audit: async (shared, updates) => ({ lostUpdates: updates - (await shared.counter('hits').get()) }),
  },
};

function page(shared: Lockstep): SharedMap<number> {
  return shared.map<number>('page');
}
