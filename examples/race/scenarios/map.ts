import type { Lockstep, SharedMap } from '../../../src/index.ts';
import type { Scenario, Way } from '../scenario.ts';

const fruits = ['apple', 'fig', 'kiwi', 'pear', 'plum'];

/** Everybody adds to the entries of one map. */
export const map: Scenario = {
  name: 'map',
  unsafe: {
    how: 'get, then set',
    ...delivery('stock unsafely', async (stock, fruit) => {
      const left = (await stock.get(fruit)) ?? 0;
      await stock.set(fruit, left + 1); // others have added to it in between
    }),
  },
  safe: {
    how: 'map.update',
    ...delivery('stock', async (stock, fruit) => void (await stock.update(fruit, (left = 0) => left + 1))),
  },
};

type AddOne = (stock: SharedMap<number>, fruit: string) => Promise<void>;

function delivery(name: string, addOne: AddOne): Omit<Way, 'how'> {
  const stockOf = (shared: Lockstep): SharedMap<number> => shared.map<number>(name);
  return {
    prepare: (shared) => stockOf(shared).clear(),
    task(shared) {
      let turn = 0;
      return async () => {
        turn += 1;
        await addOne(stockOf(shared), fruits[turn % fruits.length]!);
        return 1;
      };
    },
    async audit(shared, updates) {
      let sum = 0;
      for await (const left of stockOf(shared).values()) sum += left;
      return { lostUpdates: updates - sum };
    },
  };
}
