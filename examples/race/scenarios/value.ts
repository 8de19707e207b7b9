import type { Lockstep, SharedValue } from '../../../src/index.ts';
import type { Scenario } from '../scenario.ts';

interface Visits {
  readonly count: number;
  readonly last: string;
}

/** Everybody changes one value by what it was. */
export const value: Scenario = {
  name: 'value',

  unsafe: {
    how: 'get, then set',
    prepare: (shared) => visits(shared, 'unsafely').set(none),
    task: (shared, name) => async () => {
      const { count } = (await visits(shared, 'unsafely').get()) ?? none;
      await visits(shared, 'unsafely').set({ count: count + 1, last: name }); // over whatever came in between
      return 1;
    },
    audit: async (shared, updates) => ({ lostUpdates: updates - (await counted(shared, 'unsafely')) }),
  },

  safe: {
    how: 'value.update',
    prepare: (shared) => visits(shared, 'safely').set(none),
    task: (shared, name) => async () => {
      await visits(shared, 'safely').update(({ count } = none) => ({ count: count + 1, last: name }));
      return 1;
    },
    audit: async (shared, updates) => ({ lostUpdates: updates - (await counted(shared, 'safely')) }),
  },
};

const none: Visits = { count: 0, last: '' };

function visits(shared: Lockstep, how: string): SharedValue<Visits> {
  return shared.value<Visits>(`visits ${how}`);
}

async function counted(shared: Lockstep, how: string): Promise<number> {
  return (await visits(shared, how).get())?.count ?? 0;
}
